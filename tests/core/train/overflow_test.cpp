// A step whose scaled gradient overflows in float16.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/comm/local/local_group.h"
#include "core/data/dataset.h"
#include "core/data/plan.h"
#include "core/objective/objective.h"
#include "core/train/loop_state.h"
#include "core/train/step.h"
#include "tests/support/collective_backends.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_spec.h"

namespace mdgen::train {
namespace {

using mdgen::testing::Backend;

class OverflowTest : public ::testing::TestWithParam<int> {
 protected:
  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
  v1::JobSpec spec_ =
      mdgen::testing::tiny_spec(data_, folder_.path(), {"precision=16-mixed", "max_skipped_steps=1"});
};

// Steps of 4 and 2 samples: with three ranks one has no samples in the second.
TEST_P(OverflowTest, IsSkippedByAllRanks_HalvesTheScale_AndIsNoFault) {
  const int ranks = GetParam();
  std::vector<std::string> digests(static_cast<std::size_t>(ranks));
  mdgen::testing::run_group_or_throw(Backend{"local", ranks}, [&](comm::Collective& collective) {
    const v1::Assignment assignment = mdgen::testing::assignment_for(spec_, collective.rank(), ranks);
    const data::Dataset dataset(spec_, assignment.manifest().train(),
                                objective::latent_channels(spec_.model()));
    data::RunPlan plan(data::plan_inputs(spec_, assignment.manifest()));
    const SystemClock clock;
    RunState state(spec_, at::kCPU);
    LoopState loop;
    FaultPoints no_faults;
    Stepper stepper(spec_, assignment.manifest().train(), state, loop, collective, at::kCPU, clock,
                    no_faults);
    StepFeed feed(plan, dataset,
                  {.rank = collective.rank(),
                   .world_size = ranks,
                   .threads = 0,
                   .first = 0,
                   .end = plan.total_steps()});
    const auto step = [&] { return stepper.run(feed.next(), feed, 1e-3, {}, [](v1::TrainerPhase, bool) {}); };

    const float huge = 0x1p100F;
    state.scaler()->restore(huge, 7);
    const auto weights = [&] { return checkpoint::snapshot(state.live()).model; };
    const auto before = weights();
    for (int i = 1; i <= 2; ++i) {
      const StepOutcome outcome = step();
      EXPECT_TRUE(outcome.report.overflowed());
      EXPECT_FALSE(outcome.report.skipped()) << "the ledger would take it for a fault";
      EXPECT_FALSE(outcome.failure) << "max_skipped_steps is 1";
      EXPECT_EQ(loop.skipped_in_a_row, 0);
      EXPECT_TRUE(std::isfinite(outcome.report.loss()));
      EXPECT_EQ(outcome.report.loss_scale(), std::ldexp(huge, 1 - i));
      EXPECT_EQ(state.scaler()->scale(), std::ldexp(huge, -i));
      EXPECT_EQ(state.scaler()->growth_tracker(), 0);
      EXPECT_EQ(state.progress().steps, i);
      EXPECT_EQ(state.progress().samples, i == 1 ? 4 : 6) << "its samples are consumed";
      for (const auto& [name, tensor] : weights()) EXPECT_TRUE(tensor.equal(before.at(name))) << name;
    }
    state.scaler()->restore(65536, 7);
    const StepOutcome applied = step();
    EXPECT_FALSE(applied.report.overflowed());
    EXPECT_EQ(state.scaler()->growth_tracker(), 8);
    EXPECT_FALSE(weights().at("emb_to_latent.linear.bias").equal(before.at("emb_to_latent.linear.bias")));
    digests[static_cast<std::size_t>(collective.rank())] = state.digest();
  });
  EXPECT_THAT(digests, ::testing::Each(digests[0]));
}

INSTANTIATE_TEST_SUITE_P(Ranks, OverflowTest, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace mdgen::train
