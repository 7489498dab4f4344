// A run that loses ranks at every point of a step gives what the uninterrupted run gives, bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/ledger/json.h"
#include "tests/support/crew.h"
#include "tests/support/temp_dir.h"

namespace mdgen::train {
namespace {

using mdgen::testing::Backend;
using mdgen::testing::Crew;
using mdgen::testing::curve_of;
using mdgen::testing::PlantedFaults;
using mdgen::testing::run_training;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// 9 virtual samples an epoch, 4 a step: 3 steps an epoch, 12 in all, a validation after each epoch.
class Generations : public ::testing::TestWithParam<Backend> {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }

  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.insert(assignments.begin(), {"name=" + name, "epochs=4", "no_validate=false", "val_repeat=3",
                                             "train_repeat=3", "wandb=true", "print_freq=2"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }
  // Weights, average and optimizer of the newest checkpoint, and the run's own counters.
  std::vector<std::string> final_state(const v1::JobSpec& spec) const {
    std::vector<std::string> notes;
    const auto found = checkpoint::newest_good(folder_ / spec.name() / "checkpoints", notes);
    std::vector<std::string> state{std::to_string(found->manifest.summary.step),
                                   std::to_string(found->manifest.summary.samples)};
    for (const auto& file : found->manifest.files) {
      if (file.name.ends_with(".safetensors")) state.push_back(file.name + " " + file.sha256);
    }
    return state;
  }
  // Of the effective chain: contiguous steps, the sum of the hashes of the samples used, their number.
  struct Chain {
    std::int64_t last = 0;
    std::uint64_t hashes = 0;
    std::int64_t samples = 0;
    bool contiguous = true;
    bool operator==(const Chain&) const = default;
  };
  Chain chain_of(const v1::JobSpec& spec) const {
    std::vector<std::string> notes;
    const auto found = checkpoint::newest_good(folder_ / spec.name() / "checkpoints", notes);
    Chain chain;
    for (const v1::LedgerRecord& record :
         ledger::from_json(checkpoint::read_history(found->folder).ledger_json)) {
      if (record.kind() != v1::LEDGER_KIND_RANGE) continue;
      chain.contiguous = chain.contiguous && record.first_step() == chain.last + 1;
      chain.last = record.last_step();
      chain.hashes += record.hash_sum();
      chain.samples += record.samples();
    }
    return chain;
  }
  // Every line of metrics.jsonl by its place, and its loss; what is measured by time is left out.
  std::vector<std::string> lines(const v1::JobSpec& spec) const {
    std::vector<std::string> all;
    for (const nlohmann::json& line : mdgen::testing::lines_of(spec)) {
      std::string text = line["step"].dump();
      for (const char* key : {"loss", "grad_norm", "lr", "iter_loss", "train_loss", "val_loss", "iter_step",
                              "iter_count", "train_count", "val_count", "samples", "tokens"}) {
        if (line.contains(key)) text += std::string(" ") + key + " " + line[key].dump();
      }
      all.push_back(text);
    }
    return all;
  }
  void expect_equal_runs(const v1::JobSpec& interrupted, const v1::JobSpec& straight) {
    EXPECT_EQ(lines(interrupted), lines(straight));
    EXPECT_EQ(final_state(interrupted), final_state(straight));
    EXPECT_EQ(chain_of(interrupted), chain_of(straight));
    EXPECT_TRUE(chain_of(interrupted).contiguous);
  }
  static void expect_left(const std::vector<SessionEnd>& ends) {
    for (const SessionEnd& end : ends) {
      EXPECT_FALSE(end.finished);
      EXPECT_FALSE(end.left.agreed());
      EXPECT_FALSE(end.left.reason().empty());
    }
  }
  static void expect_finished(const std::vector<SessionEnd>& ends) {
    for (const SessionEnd& end : ends) {
      ASSERT_TRUE(end.finished) << end.left.ShortDebugString();
      EXPECT_EQ(end.finished->outcome(), v1::OUTCOME_COMPLETED);
    }
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {5, 7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

// Step 6 ends an epoch; step 5 does not.
TEST_P(Generations, RankLostAtEveryPoint_GivesTheUninterruptedRun) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const int last = GetParam().world_size - 1;
  for (const char* point :
       {"before_reduce", "mid_reduce", "after_reduce", "mid_optimizer", "before_report"}) {
    for (const int rank : {0, last}) {
      for (const char* step : {"5", "6"}) {
        const std::string fault = "break." + std::string(point) + "@" + step + ":" + std::to_string(rank);
        SCOPED_TRACE(fault);
        const v1::JobSpec cut = spec(std::string(point) + step + std::to_string(rank));
        const PlantedFaults planted(fault);
        Crew crew(cut, GetParam());
        expect_left(crew.run());
        crew.replace(rank);
        expect_finished(crew.run());
        expect_equal_runs(cut, straight);
        const v1::StartReport& start = crew[0].observer.start;
        EXPECT_EQ(start.source(), v1::STATE_SOURCE_MEMORY);
        EXPECT_GE(start.healed_ranks(), 1);
        EXPECT_GE(start.first_step(), 4);
        ASSERT_FALSE(start.ledger().empty());
        EXPECT_EQ(start.ledger().rbegin()->last_step(), start.first_step());
      }
    }
  }
}

// Nobody died: all hold the state, only the step is done again.
TEST_P(Generations, GroupLost_HealsNobodyAndGivesTheUninterruptedRun) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut");
  const PlantedFaults planted("break.mid_reduce@2:1,break.after_reduce@7:0,break.before_report@8:1");
  Crew crew(cut, GetParam());
  int generations = 1;
  for (auto ends = crew.run(); !ends[0].finished; ends = crew.run()) {
    expect_left(ends);
    for (const SessionEnd& end : ends) EXPECT_TRUE(end.left.resident());
    ASSERT_LT(++generations, 6);
  }
  EXPECT_EQ(generations, 4);
  expect_equal_runs(cut, straight);
}

TEST_P(Generations, LostWhileHealing_IsHealedInTheNextOne) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const int last = GetParam().world_size - 1;
  const v1::JobSpec cut = spec("cut");
  const PlantedFaults planted("break.mid_reduce@5:0,break.heal_send@5:1,break.heal_receive@5:0:2");
  Crew crew(cut, GetParam());
  expect_left(crew.run());
  crew.replace(0);
  expect_left(crew.run());  // the source is lost while it sends
  crew.replace(1);
  if (last > 1) {  // somebody still holds the state
    expect_left(crew.run());
    crew.replace(0);
    expect_finished(crew.run());
    expect_equal_runs(cut, straight);
  }
}

TEST_P(Generations, EveryPrecision_MovesBitForBit) {
  for (const char* precision : {"64-true", "bf16-mixed", "16-mixed", "bf16-true"}) {
    const std::vector<std::string> flags = {std::string("precision=") + precision, "epochs=2"};
    const v1::JobSpec straight = spec(std::string("straight-") + precision, flags);
    run_training(straight, {.backend = GetParam()});
    const v1::JobSpec cut = spec(std::string("cut-") + precision, flags);
    const PlantedFaults planted("break.after_reduce@4:1");
    Crew crew(cut, GetParam());
    expect_left(crew.run());
    crew.replace(1);
    expect_finished(crew.run());
    SCOPED_TRACE(precision);
    expect_equal_runs(cut, straight);
  }
}

TEST_P(Generations, LostInsideAValidation_ValidatesOnce) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut");
  Crew crew(cut, GetParam());
  std::atomic<bool> cuts{true};
  crew.during = [&](comm::Collective& collective, mdgen::testing::CrewMember& member) {
    if (collective.rank() != 1) return;
    member.observer.on_phase = [&](v1::TrainerPhase phase) {
      if (phase == v1::TRAINER_PHASE_VALIDATE && cuts.exchange(false)) collective.abort("cut by the test");
    };
  };
  expect_left(crew.run());
  EXPECT_FALSE(cuts);
  expect_finished(crew.run());
  expect_equal_runs(cut, straight);
}

// Does to a crew's generation what an order to abandon does: tells every rank, and aborts its collective.
class Abandoner {
 public:
  explicit Abandoner(Crew& crew) : crew_(crew) {
    crew.during = [this](comm::Collective& collective, mdgen::testing::CrewMember&) {
      const std::lock_guard lock(mutex_);
      collectives_.push_back(&collective);
    };
  }
  void order() {
    const std::lock_guard lock(mutex_);
    for (std::size_t rank = 0; rank < collectives_.size(); ++rank) {
      crew_[static_cast<int>(rank)].control.abandoned = true;
    }
    for (comm::Collective* collective : collectives_) collective->abort("abandoned by the test");
  }
  // All have left.
  void forget() {
    for (std::size_t rank = 0; rank < collectives_.size(); ++rank) {
      crew_[static_cast<int>(rank)].control.abandoned = false;
    }
    collectives_.clear();
  }

 private:
  Crew& crew_;
  std::mutex mutex_;
  std::vector<comm::Collective*> collectives_;
};

class WatchedClock : public SystemClock {
 public:
  Steady steady() const override {
    if (on_read) on_read();
    return SystemClock::steady();
  }
  std::function<void()> on_read;
};

// 180 samples; each batch reads the clock three times.
TEST_P(Generations, AbandonedInsideAValidation_LeavesWithinABatchAndValidatesAgain) {
  const std::vector<std::string> flags = {"epochs=2", "val_repeat=60"};
  const v1::JobSpec straight = spec("straight", flags);
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut", flags);
  Crew crew(cut, GetParam());
  Abandoner abandoner(crew);
  std::atomic<int> validating{0};
  std::atomic<int> reads{0};
  WatchedClock clock;
  clock.on_read = [&] {
    if (validating == GetParam().world_size && ++reads == 12) abandoner.order();
  };
  crew.clock = &clock;
  for (int rank = 0; rank < GetParam().world_size; ++rank) {
    crew[rank].observer.on_phase = [&](v1::TrainerPhase phase) {
      if (phase == v1::TRAINER_PHASE_VALIDATE) ++validating;
    };
  }
  const std::vector<SessionEnd> ends = crew.run();
  EXPECT_GE(reads, 12);
  EXPECT_LE(reads, 12 + 3 * GetParam().world_size);
  for (const SessionEnd& end : ends) {
    ASSERT_FALSE(end.finished);
    EXPECT_EQ(end.left.reason(), "Abandoned");
    EXPECT_EQ(end.left.applied(), 3);
    EXPECT_TRUE(end.left.resident());
  }
  EXPECT_THAT(crew[0].observer.validations, IsEmpty());
  validating = -1000;
  abandoner.forget();
  expect_finished(crew.run());
  expect_equal_runs(cut, straight);
}

// The checkpoint of step 3 does not get on; that of step 6 waits for it.
TEST_P(Generations, AbandonedBehindASlowDisk_LeavesAtOnceAndBothCheckpointsAreWritten) {
  const v1::JobSpec straight = spec("straight", {"every_steps=3"});
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut", {"every_steps=3"});
  const PlantedFaults planted("slow_disk@3");
  std::filesystem::create_directories(folder_ / "cut");
  write_file_synced(folder_ / "cut" / "slow_disk", "");
  Crew crew(cut, GetParam());
  Abandoner abandoner(crew);
  crew[0].observer.on_phase = [&](v1::TrainerPhase phase) {
    if (phase == v1::TRAINER_PHASE_CHECKPOINT && crew[0].session->applied() == 6) abandoner.order();
  };
  for (const SessionEnd& end : crew.run()) {
    ASSERT_FALSE(end.finished);
    EXPECT_EQ(end.left.reason(), "Abandoned");
    EXPECT_EQ(end.left.applied(), 6);
    EXPECT_TRUE(end.left.resident());
  }
  EXPECT_THAT(checkpoint::list(folder_ / "cut" / "checkpoints"), IsEmpty());
  crew[0].observer.on_phase = {};
  abandoner.forget();
  std::filesystem::remove(folder_ / "cut" / "slow_disk");
  expect_finished(crew.run());
  std::vector<std::int64_t> written;
  for (const v1::CheckpointReport& report : crew[0].observer.checkpoints) {
    EXPECT_TRUE(report.verified()) << report.problem();
    written.push_back(report.step());
  }
  EXPECT_THAT(written, ::testing::ElementsAre(3, 6, 9, 12));
  expect_equal_runs(cut, straight);
}

TEST_P(Generations, LastCheckpointFails_AllHoldTheWeightsAndTheNextGenerationWritesIt) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  v1::JobSpec cut = spec("cut");
  cut.mutable_recovery()->set_hold_for_seconds(0);
  const std::filesystem::path checkpoints = folder_ / "cut" / "checkpoints";
  Crew crew(cut, GetParam());
  crew[0].observer.on_step = [&](const v1::StepReport& report) {
    if (report.step() != 11) return;
    std::filesystem::rename(checkpoints, folder_ / "away");
    write_file_synced(checkpoints, "no folder");
  };
  for (const SessionEnd& end : crew.run()) {
    ASSERT_FALSE(end.finished);
    EXPECT_EQ(end.left.reason(), "CheckpointFailed");
    EXPECT_FALSE(end.left.agreed());
    EXPECT_TRUE(end.left.resident());
    EXPECT_EQ(end.left.applied(), 12);
  }
  crew[0].observer.on_step = {};
  std::filesystem::remove(checkpoints);
  std::filesystem::rename(folder_ / "away", checkpoints);
  expect_finished(crew.run());
  expect_equal_runs(cut, straight);
}

TEST_P(Generations, RankMoreOrLess_KeepsTheSamplesAndTheCurve) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  for (const bool grows : {false, true}) {
    const v1::JobSpec cut = spec(grows ? "grown" : "shrunk");
    const int last = GetParam().world_size - 1;
    const PlantedFaults planted("break.mid_reduce@5:" + std::to_string(last));
    Crew crew(cut, GetParam());
    expect_left(crew.run());
    if (grows) {
      crew.resize(GetParam().world_size + 1);
    } else {
      crew.lose(last);
    }
    expect_finished(crew.run());
    EXPECT_EQ(chain_of(cut), chain_of(straight));
    const auto ours = curve_of(cut);
    const auto theirs = curve_of(straight);
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      EXPECT_EQ(ours[i][0], theirs[i][0]);
      EXPECT_NEAR(ours[i][1], theirs[i][1], 1e-4 * theirs[i][1]) << "point " << i;
    }
  }
}

TEST_P(Generations, RankMoreOrLessUnderStrict_GivesTheSameBits) {
  const std::vector<std::string> strict = {"determinism=strict"};
  const v1::JobSpec straight = spec("straight", strict);
  run_training(straight, {.backend = GetParam()});
  const int last = GetParam().world_size - 1;
  for (const bool grows : {false, true}) {
    SCOPED_TRACE(grows ? "grown" : "shrunk");
    const v1::JobSpec cut = spec(grows ? "grown" : "shrunk", strict);
    const PlantedFaults planted("break.after_reduce@5:" + std::to_string(last));
    Crew crew(cut, GetParam());
    expect_left(crew.run());
    if (grows) {
      crew.resize(GetParam().world_size + 1);
    } else {
      crew.lose(last);
    }
    expect_finished(crew.run());
    expect_equal_runs(cut, straight);
  }
}

TEST_P(Generations, Yield_IsAgreedWithACheckpointAndGoesOn) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut");
  Crew crew(cut, GetParam());
  crew[0].observer.on_step = [&](const v1::StepReport& report) {
    if (report.step() != 3) return;
    train::RunControl& control = crew[1].control;  // one rank's vote
    control.stop_checkpoint = control.stop_yield = control.stop = true;
  };
  std::vector<SessionEnd> ends = crew.run();
  const std::int64_t at = ends[0].left.applied();
  EXPECT_GT(at, 3);
  for (const SessionEnd& end : ends) {
    ASSERT_FALSE(end.finished);
    EXPECT_TRUE(end.left.agreed());
    EXPECT_TRUE(end.left.checkpointed());
    EXPECT_TRUE(end.left.resident());
    EXPECT_EQ(end.left.applied(), at);
  }
  EXPECT_EQ(checkpoint::verify(checkpoint::list(folder_ / "cut" / "checkpoints").front()).summary.step, at);
  crew[1].control.stop = false;
  expect_finished(crew.run());
  EXPECT_EQ(crew[0].observer.start.first_step(), at);
  expect_equal_runs(cut, straight);
}

TEST_P(Generations, OneVoteToEnd_EndsThoseWhoYielded) {
  Crew crew(spec("ends"), GetParam());
  crew[0].observer.on_step = [&](const v1::StepReport& report) {
    if (report.step() != 3) return;
    crew[0].control.stop_yield = crew[0].control.stop = true;
    crew[1].control.stop = true;
  };
  // The votes may fall into two steps; then the first is a yield, and the other rank ends while it waits.
  const std::vector<SessionEnd> ends = crew.run();
  const bool together = ends[0].finished.has_value();
  for (const SessionEnd& end : ends) EXPECT_EQ(end.finished.has_value(), together);
  if (together) {
    EXPECT_EQ(ends[0].finished->outcome(), v1::OUTCOME_STOPPED);
  }
}

TEST_P(Generations, RanksOwnFailure_IsNotTheGroups) {
  Crew crew(spec("missing"), GetParam());
  std::filesystem::remove_all(data_.data_dir);
  EXPECT_THROW(crew.run(), Error);
}

TEST_P(Generations, Held_IsSavedOnlyWhenTheRunFolderHasNothingNewer) {
  const v1::JobSpec cut = spec("held");
  auto planted = std::make_unique<PlantedFaults>("break.mid_reduce@5:1");
  Crew crew(cut, GetParam());
  expect_left(crew.run());
  planted.reset();
  EXPECT_TRUE(crew[0].session->save());
  const auto folders = checkpoint::list(folder_ / "held" / "checkpoints");
  ASSERT_EQ(folders.size(), 1U);
  EXPECT_EQ(checkpoint::verify(folders[0]).summary.step, 4);
  EXPECT_TRUE(crew[1].session->save());
  EXPECT_EQ(checkpoint::list(folder_ / "held" / "checkpoints").size(), 1U);

  // A later job's start from it is the run that was never interrupted.
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  Crew again(cut, GetParam());
  expect_finished(again.run());
  expect_equal_runs(cut, straight);
}

class ThreeRanks : public Generations {};

TEST_P(ThreeRanks, FlippedBit_IsNamedAndHealedByTheMajority) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut", {"replica_check_every=2"});
  const PlantedFaults planted("flip_bit@6:2");
  Crew crew(cut, GetParam());
  const std::vector<SessionEnd> ends = crew.run();
  expect_left(ends);
  for (std::size_t rank = 0; rank < ends.size(); ++rank) {
    EXPECT_EQ(ends[rank].left.reason(), "ReplicaDiverged");
    EXPECT_THAT(ends[rank].left.message(), HasSubstr("after step 6 is another on a minority"));
    EXPECT_THAT(ends[rank].left.message(), HasSubstr("rank 2 ("));
    EXPECT_EQ(ends[rank].left.resident(), rank != 2);
    EXPECT_EQ(ends[rank].left.applied(), 6);
  }
  expect_finished(crew.run());
  EXPECT_EQ(crew[0].observer.start.healed_ranks(), 1);
  EXPECT_EQ(curve_of(cut), curve_of(straight));
}

TEST_P(ThreeRanks, FlippedBitsWithoutAMajority_GoBackToTheCheckpoint) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight, {.backend = GetParam()});
  const v1::JobSpec cut = spec("cut", {"replica_check_every=2", "every_steps=3"});
  const PlantedFaults planted("flip_bit@7:1,flip_bit@8:2");
  Crew crew(cut, GetParam());
  std::vector<SessionEnd> ends = crew.run();
  expect_left(ends);
  for (const SessionEnd& end : ends) EXPECT_FALSE(end.left.resident());
  expect_finished(crew.run());
  EXPECT_EQ(crew[0].observer.start.source(), v1::STATE_SOURCE_CHECKPOINT);
  EXPECT_EQ(crew[0].observer.start.first_step(), 6);
  EXPECT_EQ(curve_of(cut), curve_of(straight));
}

const auto kName = [](const auto& info) { return mdgen::testing::name_of(info.param); };
INSTANTIATE_TEST_SUITE_P(Backends, Generations, ::testing::Values(Backend{"local", 2}, Backend{"gloo", 3}),
                         kName);
INSTANTIATE_TEST_SUITE_P(Backends, ThreeRanks, ::testing::Values(Backend{"local", 3}, Backend{"gloo", 3}),
                         kName);

}  // namespace
}  // namespace mdgen::train
