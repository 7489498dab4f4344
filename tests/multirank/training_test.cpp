// The same run on one rank and on several: the same samples, the same losses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdint>
#include <set>

#include "core/data/dataset.h"
#include "core/objective/objective.h"
#include "core/train/step_feed.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::Backend;
using mdgen::testing::run_training;
using mdgen::testing::RunOptions;
using mdgen::testing::RunResult;

// 9 virtual samples an epoch, 4 a step, micro-batches of 1: batches of 4, 4 and 1 sample. In every third step
// a single rank has work.
class TrainingOnRanks : public ::testing::TestWithParam<Backend> {
 protected:
  static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }  // as every program does
  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.insert(assignments.begin(),
                       {"name=" + name, "epochs=5", "no_validate=false", "val_repeat=3", "train_repeat=3"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {5, 7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

void expect_close(double a, double b, double tolerance, const std::string& what) {
  EXPECT_NEAR(a, b, tolerance * std::abs(a)) << what;
}

TEST_P(TrainingOnRanks, GivesTheLossCurveOfOneRank) {
  const RunResult one = run_training(spec("one"));
  RunOptions options;
  options.backend = GetParam();
  const RunResult several = run_training(spec("several"), options);

  ASSERT_EQ(one.observer.steps.size(), 15U);
  ASSERT_EQ(several.observer.steps.size(), 15U);
  for (std::size_t i = 0; i < one.observer.steps.size(); ++i) {
    const v1::StepReport& a = one.observer.steps[i];
    const v1::StepReport& b = several.observer.steps[i];
    const std::string where = "step " + std::to_string(i + 1);
    EXPECT_EQ(b.step(), a.step());
    EXPECT_EQ(b.samples(), i % 3 == 2 ? 1 : 4) << where;
    EXPECT_EQ(b.samples(), a.samples()) << where;
    EXPECT_EQ(b.tokens(), a.tokens()) << where;
    EXPECT_EQ(b.sample_hash_sum(), a.sample_hash_sum()) << where;
    expect_close(a.loss(), b.loss(), 1e-4, "loss, " + where);
    expect_close(a.grad_norm(), b.grad_norm(), 1e-3, "gradient norm, " + where);
  }
  ASSERT_EQ(one.observer.validations.size(), 5U);
  ASSERT_EQ(several.observer.validations.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(several.observer.validations[i].samples(), 3);
    expect_close(one.observer.validations[i].val_loss(), several.observer.validations[i].val_loss(), 1e-4,
                 "validation " + std::to_string(i));
  }
}

// Micro-batches are the same on one rank and on several; sums of gradients differ in their last bits, and
// half precision rounds some of the weights' casts the other way.
TEST_P(TrainingOnRanks, EveryPrecision_GivesTheLossCurveOfOneRank) {
  const std::vector<std::pair<std::string, double>> tolerances = {
      {"64-true", 1e-11}, {"bf16-mixed", 5e-3}, {"16-mixed", 1e-3}, {"bf16-true", 2e-2}};
  for (const auto& [precision, tolerance] : tolerances) {
    const std::vector<std::string> flags = {"precision=" + precision, "epochs=2"};
    const RunResult one = run_training(spec("one-" + precision, flags));
    RunOptions options;
    options.backend = GetParam();
    const RunResult several = run_training(spec("several-" + precision, flags), options);
    ASSERT_EQ(several.observer.steps.size(), one.observer.steps.size());
    for (std::size_t i = 0; i < one.observer.steps.size(); ++i) {
      expect_close(one.observer.steps[i].loss(), several.observer.steps[i].loss(), tolerance,
                   precision + ", step " + std::to_string(i + 1));
    }
    expect_close(one.observer.validations.back().val_loss(), several.observer.validations.back().val_loss(),
                 tolerance, precision + ", validation");
  }
}

// Each sample drops what it drops on one rank; each parameter's gradient is accumulated once and leaves its
// rank.
TEST_P(TrainingOnRanks, DropoutAndRecomputation_GiveTheLossCurveOfOneRank) {
  const std::vector<std::string> flags = {"dropout=0.3", "grad_checkpointing=true", "epochs=3"};
  const RunResult one = run_training(spec("dropping-one", flags));
  RunOptions options;
  options.backend = GetParam();
  const RunResult several = run_training(spec("dropping-several", flags), options);
  const RunResult kept = run_training(spec("kept", {"dropout=0.3", "epochs=3"}), options);
  ASSERT_EQ(several.observer.steps.size(), one.observer.steps.size());
  for (std::size_t i = 0; i < one.observer.steps.size(); ++i) {
    const std::string where = "step " + std::to_string(i + 1);
    expect_close(one.observer.steps[i].loss(), several.observer.steps[i].loss(), 1e-4, "loss, " + where);
    expect_close(one.observer.steps[i].grad_norm(), several.observer.steps[i].grad_norm(), 1e-3,
                 "norm, " + where);
    EXPECT_EQ(several.observer.steps[i].loss(), kept.observer.steps[i].loss()) << where;
    EXPECT_EQ(several.observer.steps[i].grad_norm(), kept.observer.steps[i].grad_norm()) << where;
  }
}

TEST_P(TrainingOnRanks, Twice_GivesTheSameBits) {
  RunOptions options;
  options.backend = GetParam();
  const RunResult first = run_training(spec("first", {"epochs=2"}), options);
  const RunResult second = run_training(spec("second", {"epochs=2"}), options);
  for (std::size_t i = 0; i < first.observer.steps.size(); ++i) {
    EXPECT_EQ(first.observer.steps[i].loss(), second.observer.steps[i].loss());
    EXPECT_EQ(first.observer.steps[i].grad_norm(), second.observer.steps[i].grad_norm());
  }
}

TEST_P(TrainingOnRanks, StopVoteOfOneRank_EndsAllAtTheSameStep) {
  RunOptions options;
  options.backend = GetParam();
  options.stop_after = 3;
  options.stop_checkpoint = true;
  const RunResult stopped = run_training(spec("stop"), options);
  EXPECT_EQ(stopped.finish.outcome(), v1::OUTCOME_STOPPED);
  ASSERT_FALSE(stopped.observer.checkpoints.empty());
  EXPECT_EQ(stopped.observer.checkpoints.back().step(), stopped.finish.steps_applied());

  options = {.generation = 2, .require_checkpoint = true, .backend = GetParam()};
  const RunResult resumed = run_training(spec("stop"), options);
  EXPECT_EQ(resumed.observer.start.first_step(), stopped.finish.steps_applied());
  const RunResult whole = run_training(spec("whole"), {.backend = GetParam()});
  ASSERT_EQ(whole.observer.steps.size(), 15U);
  for (const v1::StepReport& step : resumed.observer.steps) {
    EXPECT_EQ(step.loss(), whole.observer.steps[static_cast<std::size_t>(step.step() - 1)].loss());
  }
}

TEST_P(TrainingOnRanks, AnotherSeed_IsRefusedNamingTheRank) {
  const Backend backend = GetParam();
  const int odd = backend.world_size - 1;
  const auto thrown = mdgen::testing::run_group(backend, [&](comm::Collective& collective) {
    const bool differs = collective.rank() == odd;
    const v1::Assignment assignment = mdgen::testing::assignment_for(
        spec("diverged", {differs ? "seed=2" : "seed=1"}), collective.rank(), backend.world_size);
    mdgen::testing::RecordingObserver observer;
    const RunControl control;
    run(assignment, collective, at::kCPU, observer, control, SystemClock());
  });
  // Who sees it first leaves, and may be the others' lost peer.
  std::vector<std::string> texts;
  for (const std::exception_ptr& error : thrown) {
    EXPECT_TRUE(error);
    texts.emplace_back(mdgen::testing::error_of(error).what());
  }
  EXPECT_THAT(texts, ::testing::Contains(::testing::HasSubstr("spec or plan differ from rank 0's on rank " +
                                                              std::to_string(odd))));
}

TEST_P(TrainingOnRanks, SharesOfAStep_CoverItOnce) {
  const v1::JobSpec resolved = spec("shares");
  const v1::Assignment assignment = mdgen::testing::assignment_for(resolved);
  data::RunPlan plan(data::plan_inputs(resolved, assignment.manifest()));
  for (std::int64_t step = 0; step < plan.total_steps(); ++step) {
    std::multiset<std::uint32_t> seen;
    int empty = 0;
    for (int rank = 0; rank < GetParam().world_size; ++rank) {
      const StepWork work =
          share_of_step(plan.step(step), plan.inputs().sizes, 1, rank, GetParam().world_size);
      for (const data::MicroBatch& batch : work.mine) seen.insert(batch.begin(), batch.end());
      empty += work.mine.empty() ? 1 : 0;
    }
    const auto samples = plan.step(step).samples;
    EXPECT_EQ(seen, std::multiset<std::uint32_t>(samples.begin(), samples.end()));
    EXPECT_EQ(empty, step % 3 == 2 ? GetParam().world_size - 1 : 0) << "step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, TrainingOnRanks,
                         ::testing::Values(Backend{"local", 2}, Backend{"local", 3}, Backend{"gloo", 2},
                                           Backend{"gloo", 3}),
                         [](const auto& info) { return mdgen::testing::name_of(info.param); });

}  // namespace
}  // namespace mdgen::train
