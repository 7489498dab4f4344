// Real trainers that are killed, hang and are cut off, under an agent made for tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "tests/support/fleet.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_spec.h"

namespace mdgen {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::FakeAgent;
using mdgen::testing::Fleet;
using ::testing::HasSubstr;

using Messages = std::vector<v1::TrainerMessage>;

class Recovery : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("OMP_NUM_THREADS", "1", 1); }
  void TearDown() override { ::unsetenv("MDGEN_TEST_FAULT"); }

  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.insert(assignments.begin(), {"name=" + name, "epochs=4", "no_validate=false", "val_repeat=3",
                                             "train_repeat=3", "num_workers=0"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }
  Fleet fleet(const v1::JobSpec& spec, int world_size = 3) {
    return {program_, mdgen::testing::assignment_for(spec, 0, world_size), folder_.path()};
  }
  std::vector<std::string> weights(const v1::JobSpec& spec) const {
    std::vector<std::string> all;
    for (const auto& file :
         checkpoint::verify(checkpoint::list(folder_ / spec.name() / "checkpoints").front()).files) {
      if (file.name.ends_with(".safetensors")) all.push_back(file.name + " " + file.sha256);
    }
    return all;
  }
  // The run without a fault, made once.
  v1::JobSpec straight() {
    const v1::JobSpec spec = this->spec("straight");
    Fleet quiet = fleet(spec);
    quiet.start();
    EXPECT_TRUE(quiet.wait_for_finish()) << quiet.log(0);
    return spec;
  }
  static void plant(const std::string& faults) { ::setenv("MDGEN_TEST_FAULT", faults.c_str(), 1); }
  static bool wait_for_step(FakeAgent& agent, std::int64_t step) {
    return agent.wait_for([&](const Messages& messages) {
      for (const v1::TrainerMessage& message : messages) {
        if (message.has_step() && message.step().step() >= step) return true;
      }
      return false;
    });
  }
  static v1::StartReport start_of(FakeAgent& agent) {
    v1::StartReport start;
    agent.wait_for([&](const Messages& messages) {
      for (const v1::TrainerMessage& message : messages) {
        if (message.has_started()) start = message.started();
      }
      return start.first_step() > 0;
    });
    return start;
  }
  static v1::FinishReport finish_of(FakeAgent& agent) {
    v1::FinishReport finish;
    agent.wait_for([&](const Messages& messages) {
      for (const v1::TrainerMessage& message : messages) {
        if (message.has_finished()) finish = message.finished();
      }
      return finish.outcome() != v1::OUTCOME_UNSPECIFIED;
    });
    return finish;
  }

  mdgen::testing::TempDir folder_;
  std::string program_ = std::string(MDGEN_BIN_DIR) + "/mdgen-trainer";
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {5, 7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

// The first fault of each takes one life, whose replacement is healed; rank 0 among them.
TEST_F(Recovery, KilledAnywhere_GivesTheUninterruptedRunBitForBit) {
  const v1::JobSpec quiet = straight();
  const std::vector<std::pair<std::string, int>> faults = {
      {"kill.before_reduce@4:1", 1},    {"kill.mid_reduce@5:0", 0},    {"kill.after_reduce@6:2", 2},
      {"kill.mid_optimizer@5:1", 1},    {"kill.before_report@6:0", 0}, {"segfault.mid_reduce@7:2", 2},
      {"kill.checkpoint_write@6:0", 0}, {"kill.validate@6:1", 1},      {"kill.validate@9:0", 0}};
  int number = 0;
  for (const auto& [fault, rank] : faults) {
    SCOPED_TRACE(fault);
    const v1::JobSpec cut = spec("cut-" + std::to_string(number++), {"every_steps=6"});
    plant(fault);
    Fleet crew = fleet(cut);
    crew.start();
    crew[rank].wait_for_exit();
    crew.replace({rank});
    ASSERT_TRUE(crew.wait_for_finish()) << crew.log(0) << crew.log(1);
    const v1::StartReport start = start_of(crew[0]);
    EXPECT_EQ(start.source(), v1::STATE_SOURCE_MEMORY);
    EXPECT_EQ(finish_of(crew[0]).outcome(), v1::OUTCOME_COMPLETED);
    EXPECT_EQ(curve_of(cut), curve_of(quiet));
    EXPECT_EQ(weights(cut), weights(quiet));
  }
}

TEST_F(Recovery, KilledWhileHealing_IsHealedByAnother) {
  const v1::JobSpec quiet = straight();
  const v1::JobSpec cut = spec("cut");
  plant("kill.mid_reduce@5:2,kill.heal_send@5:0,kill.heal_receive@5:2:2");
  Fleet crew = fleet(cut);
  crew.start();
  crew[2].wait_for_exit();
  crew.replace({2});  // rank 0 dies while it sends
  crew[0].wait_for_exit();
  crew.replace({0});  // rank 1 sends; the new rank 2 dies while it receives
  crew[2].wait_for_exit();
  crew.replace({2});
  ASSERT_TRUE(crew.wait_for_finish()) << crew.log(0);
  EXPECT_EQ(start_of(crew[0]).source_rank(), 1);
  EXPECT_EQ(curve_of(cut), curve_of(quiet));
  EXPECT_EQ(weights(cut), weights(quiet));
}

TEST_F(Recovery, HangingRank_IsLeftBehindByAnAbort) {
  const v1::JobSpec quiet = straight();
  for (const char* kind : {"hang", "stop"}) {
    const v1::JobSpec cut = spec(std::string("cut-") + kind);
    plant(std::string(kind) + ".before_reduce@5:1");
    Fleet crew = fleet(cut);
    crew.start();
    // The others are in the reduction that it does not enter.
    for (const int rank : {0, 2}) {
      ASSERT_TRUE(crew[rank].wait_for([](const Messages& messages) {
        return std::any_of(messages.begin(), messages.end(), [](const auto& message) {
          return message.has_beat() && message.beat().step() == 4 && message.beat().entered_reduce();
        });
      })) << crew.log(rank);
    }
    const auto left = crew.abandon({1});
    for (const int rank : {0, 2}) {
      EXPECT_EQ(left.at(rank).applied(), 4);
      EXPECT_TRUE(left.at(rank).resident());
      EXPECT_FALSE(left.at(rank).agreed());
    }
    crew.reform({0, -1, 2});
    ASSERT_TRUE(crew.wait_for_finish()) << crew.log(0);
    EXPECT_EQ(curve_of(cut), curve_of(quiet));
    EXPECT_EQ(weights(cut), weights(quiet));
  }
}

TEST_F(Recovery, RankLessAndRankMore_GoOnFromMemory) {
  const v1::JobSpec quiet = straight();
  const v1::JobSpec cut = spec("cut");
  plant("kill.mid_reduce@5:0");
  Fleet crew = fleet(cut);
  crew.start();
  crew[0].wait_for_exit();
  crew.abandon({0});
  crew.reform({1, 2});  // the survivors move up
  ASSERT_TRUE(wait_for_step(crew[0], 6)) << crew.log(0);
  v1::AgentOrder order;
  order.mutable_stop()->set_yield(true);
  for (const int rank : {0, 1}) crew[rank].send(order);
  for (const int rank : {0, 1}) {
    v1::LeftReport left;
    ASSERT_TRUE(crew[rank].wait_for([&](const Messages& messages) {
      for (const v1::TrainerMessage& message : messages) {
        if (message.has_left()) left = message.left();
      }
      return left.applied() > 0;
    }));
    EXPECT_TRUE(left.agreed());
    EXPECT_FALSE(left.checkpointed());
  }
  crew.reform({0, 1, -1});
  ASSERT_TRUE(crew.wait_for_finish()) << crew.log(0);
  const auto ours = curve_of(cut);
  const auto theirs = curve_of(quiet);
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i][1], theirs[i][1], 1e-4 * theirs[i][1]);
}

// Its writer had not begun when rank 0 died: the new one does not wait for the next that is due.
TEST_F(Recovery, CheckpointThatDiedWithRankZero_IsWrittenAtOnce) {
  const v1::JobSpec cut = spec("cut", {"every_steps=6", "ckpt_freq=100"});
  plant("slow_disk@6,kill.checkpoint_write@6:0");
  const auto gate = folder_ / "cut" / "slow_disk";
  std::filesystem::create_directories(gate.parent_path());
  write_file_synced(gate, "");
  Fleet crew = fleet(cut);
  crew.start();
  crew[0].wait_for_exit();
  std::filesystem::remove(gate);
  crew.replace({0});
  ASSERT_TRUE(crew.wait_for_finish()) << crew.log(0);
  std::vector<std::int64_t> written;
  ASSERT_TRUE(crew[0].wait_for([&](const Messages& messages) {
    written.clear();
    for (const v1::TrainerMessage& message : messages) {
      if (message.has_checkpoint()) written.push_back(message.checkpoint().step());
    }
    return written.size() >= 2;
  }));
  EXPECT_THAT(written, ::testing::ElementsAre(::testing::AnyOf(6, 7), 12));
}

TEST_F(Recovery, RankLostDuringALongLastCheckpoint_TheOthersLeaveItAndFinish) {
  const v1::JobSpec quiet = straight();
  const v1::JobSpec cut = spec("cut");
  plant("slow_disk@12");
  const auto gate = folder_ / "cut" / "slow_disk";
  std::filesystem::create_directories(gate.parent_path());
  write_file_synced(gate, "");
  Fleet crew = fleet(cut);
  crew.start();
  ASSERT_TRUE(crew[0].wait_for([](const Messages& messages) {
    return std::any_of(messages.begin(), messages.end(), [](const auto& message) {
      return message.has_beat() && message.beat().step() == 12 &&
             message.beat().phase() == v1::TRAINER_PHASE_CHECKPOINT;
    });
  })) << crew.log(0);
  const auto left = crew.abandon({2});
  for (const int rank : {0, 1}) {
    EXPECT_EQ(left.at(rank).applied(), 12);
    EXPECT_TRUE(left.at(rank).resident());
  }
  crew.reform({0, 1, -1});
  std::filesystem::remove(gate);
  ASSERT_TRUE(crew.wait_for_finish()) << crew.log(0);
  EXPECT_EQ(start_of(crew[0]).first_step(), 12);
  EXPECT_EQ(finish_of(crew[0]).outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(curve_of(cut), curve_of(quiet));
  EXPECT_EQ(weights(cut), weights(quiet));
}

TEST_F(Recovery, AbandonWhileTheGroupForms_LeavesAtOnce) {
  const v1::JobSpec spec = this->spec("forming");
  // Rank 1 never comes: rank 0 waits in its rendezvous.
  v1::Assignment assignment = mdgen::testing::assignment_for(spec, 0, 2);
  std::atomic<bool> waits{false};
  FakeAgent agent(
      program_, assignment, (folder_ / "log").string(), std::nullopt,
      [&](const v1::ExchangeRequest&, v1::ExchangeResponse&, const std::function<bool()>& cancelled) {
        waits = true;
        while (!cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return grpc::Status::CANCELLED;
      });
  ASSERT_TRUE(agent.wait_for([&](const Messages&) { return waits.load(); }));
  v1::AgentOrder order;
  *order.mutable_abandon()->mutable_id() = assignment.id();
  agent.send(order);
  v1::LeftReport left;
  ASSERT_TRUE(agent.wait_for([&](const Messages& messages) {
    for (const v1::TrainerMessage& message : messages) {
      if (message.has_left()) left = message.left();
    }
    return !left.reason().empty();
  })) << read_file(folder_ / "log");
  EXPECT_EQ(left.reason(), "Abandoned");
  EXPECT_FALSE(left.resident());

  order.mutable_stop()->set_checkpoint(true);
  agent.send(order);
  EXPECT_EQ(finish_of(agent).outcome(), v1::OUTCOME_STOPPED);
  EXPECT_EQ(agent.wait_for_exit().status, 0);
}

TEST_F(Recovery, StopWhileWaiting_SavesWhatIsHeld) {
  const v1::JobSpec cut = spec("cut");
  plant("kill.mid_reduce@5:1");
  Fleet crew = fleet(cut);
  crew.start();
  crew[1].wait_for_exit();
  crew.abandon({1});
  v1::AgentOrder order;
  order.mutable_stop()->set_checkpoint(true);
  crew[0].send(order);
  const v1::FinishReport finish = finish_of(crew[0]);
  EXPECT_EQ(finish.outcome(), v1::OUTCOME_STOPPED);
  EXPECT_EQ(finish.steps_applied(), 4);
  EXPECT_EQ(crew[0].wait_for_exit().status, 0);
  EXPECT_EQ(checkpoint::verify(checkpoint::list(folder_ / "cut" / "checkpoints").front()).summary.step, 4);
}

TEST_F(Recovery, HoldForSeconds_EndsTheWaitWithACheckpoint) {
  const v1::JobSpec cut = spec("cut", {"recovery.hold_for_seconds=0.2"});
  plant("kill.mid_reduce@5:1");
  Fleet crew = fleet(cut);
  crew.start();
  crew[1].wait_for_exit();
  for (const int rank : {0, 2}) {
    const v1::FinishReport finish = finish_of(crew[rank]);
    EXPECT_EQ(finish.outcome(), v1::OUTCOME_STOPPED);
    EXPECT_EQ(finish.reason(), "HoldExpired");
    EXPECT_EQ(crew[rank].wait_for_exit().status, 75);
  }
  EXPECT_EQ(checkpoint::verify(checkpoint::list(folder_ / "cut" / "checkpoints").front()).summary.step, 4);
}

TEST_F(Recovery, InjectedPartition_BreaksTheGroupOfTheOthersToo) {
  const v1::JobSpec cut = spec("cut", {"epochs=2000"});
  Fleet crew = fleet(cut);
  crew.start();
  ASSERT_TRUE(wait_for_step(crew[0], 3)) << crew.log(0);
  v1::AgentOrder order;
  order.mutable_inject()->mutable_fault()->set_kind(v1::FAULT_KIND_PARTITION);
  order.mutable_inject()->mutable_fault()->set_seconds(0.1);
  crew[1].send(order);
  for (int rank = 0; rank < crew.size(); ++rank) {
    EXPECT_TRUE(crew[rank].wait_for([](const Messages& messages) {
      return std::any_of(messages.begin(), messages.end(),
                         [](const auto& message) { return message.has_left(); });
    })) << crew.log(rank);
  }
}

// From the order to leave to the first step of the next generation, without the start of a process.
TEST_F(Recovery, ReFormingInMemory_TakesNoTime) {
  const v1::JobSpec cut = spec("cut", {"epochs=100000"});
  Fleet crew = fleet(cut);
  crew.start();
  ASSERT_TRUE(wait_for_step(crew[0], 3)) << crew.log(0);
  for (int round = 0; round < 5; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    const auto left = crew.abandon({});
    const auto have_left = std::chrono::steady_clock::now();
    crew.reform({0, 1, 2});
    ASSERT_TRUE(wait_for_step(crew[0], left.at(0).applied() + 1)) << crew.log(0);
    const auto end = std::chrono::steady_clock::now();
    const v1::StartReport start = start_of(crew[0]);
    const auto milliseconds = [](auto time) {
      return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    };
    std::printf("abandon to left %ld ms, to the first step %ld ms (form %.0f ms, heal %.0f ms)\n",
                static_cast<long>(milliseconds(have_left - begin)),
                static_cast<long>(milliseconds(end - begin)), 1000 * start.form_seconds(),
                1000 * start.heal_seconds());
    EXPECT_EQ(start.source(), v1::STATE_SOURCE_MEMORY);
    EXPECT_LT(start.healed_ranks(), 3);  // some may be a step ahead
  }
}

}  // namespace
}  // namespace mdgen
