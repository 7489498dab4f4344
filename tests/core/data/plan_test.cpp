#include "core/data/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "plan_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

std::vector<std::uint32_t> expected_order(const PlanInputs& inputs, std::int64_t epoch) {
  const std::uint32_t count = inputs.items * inputs.repeat;
  if (inputs.order == Order::kShuffled) return epoch_order(inputs.seed, epoch, count);
  return bucketed_order(inputs.seed, epoch, count, inputs.sizes, inputs.global_batch_size);
}

TEST(RunPlan, EachEpochIsEverySampleOnceInTheEpochsOrder) {
  Random random(2);
  for (int trial = 0; trial < 1000; ++trial) {
    PlanInputs inputs = random_inputs(random);
    inputs.max_steps = 0;
    RunPlan plan(inputs);
    const std::uint32_t count = inputs.items * inputs.repeat;
    std::vector<std::uint32_t> seen;
    std::int64_t epoch = 0;
    for (std::int64_t s = 0; s < plan.total_steps(); ++s) {
      const StepPlan step = plan.step(s);
      ASSERT_EQ(step.step, s);
      ASSERT_EQ(step.epoch, epoch);
      seen.insert(seen.end(), step.samples.begin(), step.samples.end());
      ASSERT_EQ(step.last_of_epoch, seen.size() == count);
      if (!step.last_of_epoch) {
        ASSERT_EQ(step.samples.size(), inputs.global_batch_size);
        continue;
      }
      ASSERT_EQ(seen, expected_order(inputs, epoch));
      seen.clear();
      ++epoch;
    }
    ASSERT_TRUE(seen.empty());
    ASSERT_EQ(epoch, inputs.epochs);
  }
}

TEST(RunPlan, AStepIsTheSameFromAnyRestartPoint) {
  Random random(3);
  for (int trial = 0; trial < 1000; ++trial) {
    const PlanInputs inputs = random_inputs(random);
    RunPlan running(inputs);
    std::vector<StepPlan> steps;
    for (std::int64_t s = 0; s < running.total_steps(); ++s) steps.push_back(running.step(s));
    const auto start = random.between(0, static_cast<std::uint32_t>(steps.size() - 1));
    RunPlan restarted(inputs);
    for (std::size_t s = start; s < steps.size(); ++s) {
      const StepPlan step = restarted.step(static_cast<std::int64_t>(s));
      ASSERT_EQ(step.samples, steps[s].samples);
      ASSERT_EQ(step.epoch, steps[s].epoch);
      ASSERT_EQ(step.last_of_epoch, steps[s].last_of_epoch);
    }
  }
}

TEST(RunPlan, TotalStepsIsTheSmallerOfEpochsAndMaxSteps) {
  PlanInputs inputs{.items = 10, .repeat = 1, .global_batch_size = 4, .epochs = 5};
  EXPECT_EQ(RunPlan(inputs).steps_per_epoch(), 3);
  EXPECT_EQ(RunPlan(inputs).total_steps(), 15);
  inputs.max_steps = 7;
  EXPECT_EQ(RunPlan(inputs).total_steps(), 7);
  inputs.max_steps = 70;
  EXPECT_EQ(RunPlan(inputs).total_steps(), 15);
}

TEST(RunPlan, Step_OutsideThePlan_Throws) {
  RunPlan plan({.items = 10, .global_batch_size = 4});
  EXPECT_THAT(message_of([&] { plan.step(3); }), HasSubstr("step 3 is not in the plan of 3 steps"));
  EXPECT_THAT(message_of([&] { plan.step(-1); }), HasSubstr("step -1"));
}

TEST(RunPlan, EmptySplitOrTooManySamples_Throws) {
  EXPECT_THAT(message_of([] { RunPlan plan({.items = 0}); }), HasSubstr("no entries"));
  EXPECT_THAT(message_of([] { RunPlan plan({.items = 70000, .repeat = 70000}); }),
              HasSubstr("70000 entries x train_repeat 70000"));
}

TEST(PlanDigest, CoversWhatFixesThePlanAndNothingElse) {
  const PlanInputs inputs{.seed = 1,
                          .items = 2,
                          .repeat = 3,
                          .global_batch_size = 4,
                          .batch_size = 5,
                          .epochs = 6,
                          .max_steps = 7,
                          .manifest_digest = "m"};
  const auto changed = [&](auto change) {
    PlanInputs other = inputs;
    change(other);
    return plan_digest(other);
  };
  std::set<std::string> digests{
      plan_digest(inputs),
      changed([](PlanInputs& p) { p.seed = 9; }),
      changed([](PlanInputs& p) { p.items = 9; }),
      changed([](PlanInputs& p) { p.repeat = 9; }),
      changed([](PlanInputs& p) { p.global_batch_size = 9; }),
      changed([](PlanInputs& p) { p.batch_size = 9; }),
      changed([](PlanInputs& p) { p.manifest_digest = "n"; }),
      changed([](PlanInputs& p) { p.epoch_samples = 4; }),
      changed([](PlanInputs& p) { p.order = Order::kBucketed; }),
      changed([](PlanInputs& p) {
        p.sizes.residues = {1, 2};
      }),
      changed([](PlanInputs& p) { p.sizes.residues = {12}; }),
  };
  EXPECT_EQ(digests.size(), 11U);
  EXPECT_EQ(changed([](PlanInputs& p) { p.epochs = 9; }), plan_digest(inputs));
  EXPECT_EQ(changed([](PlanInputs& p) { p.max_steps = 9; }), plan_digest(inputs));
  EXPECT_EQ(changed([](PlanInputs& p) { p.sizes.frames = 9; }), plan_digest(inputs));
  EXPECT_EQ(changed([](PlanInputs& p) { p.sizes.width = 9; }), plan_digest(inputs));
  EXPECT_EQ(plan_digest(inputs), "7399427cd217667e1b71b380c152c98989296d34c6863194b01fd17d875cb88f");
}

TEST(PlanInputs, ComeFromSpecAndTrainManifest) {
  v1::JobSpec spec;
  spec.set_seed(11);
  spec.set_global_batch_size(12);
  spec.set_max_steps(13);
  spec.mutable_data()->set_train_repeat(14);
  spec.mutable_optim()->set_batch_size(15);
  spec.mutable_loop()->set_epochs(16);
  v1::JobManifest manifest;
  manifest.mutable_train()->add_entries();
  manifest.mutable_train()->add_entries();
  manifest.mutable_train()->set_digest("train");
  manifest.mutable_val()->set_digest("val");
  const PlanInputs inputs = plan_inputs(spec, manifest);
  EXPECT_EQ(inputs.seed, 11U);
  EXPECT_EQ(inputs.global_batch_size, 12U);
  EXPECT_EQ(inputs.max_steps, 13);
  EXPECT_EQ(inputs.repeat, 14U);
  EXPECT_EQ(inputs.batch_size, 15U);
  EXPECT_EQ(inputs.epochs, 16);
  EXPECT_EQ(inputs.items, 2U);
  EXPECT_EQ(inputs.manifest_digest, "train");
}

TEST(RunPlan, EpochSamples_KeepTheOrdersBeginning) {
  RunPlan cut(
      {.seed = 3, .items = 10, .repeat = 2, .epoch_samples = 12, .global_batch_size = 4, .epochs = 2});
  EXPECT_EQ(cut.steps_per_epoch(), 3);
  for (const std::int64_t epoch : {0, 1}) {
    auto expected = epoch_order(3, epoch, 20);
    expected.resize(12);
    std::vector<std::uint32_t> seen;
    for (std::int64_t s = 0; s < 3; ++s) {
      const StepPlan step = cut.step(epoch * 3 + s);
      EXPECT_EQ(step.last_of_epoch, s == 2);
      seen.insert(seen.end(), step.samples.begin(), step.samples.end());
    }
    EXPECT_EQ(seen, expected);
  }
  EXPECT_THAT(message_of([] { RunPlan plan({.items = 3, .epoch_samples = 4}); }), HasSubstr("there are 3"));
}

// Batches of one rank at the submitted world size: 3 x 2 workers x batch_size 4 = 24 samples, a step has 16.
TEST(PlanInputs, TrainBatches_RoundUpToWholeSteps) {
  v1::JobSpec spec;
  spec.mutable_workers()->set_max(2);
  spec.set_global_batch_size(16);
  spec.mutable_data()->set_train_repeat(25);
  spec.mutable_optim()->set_batch_size(4);
  v1::JobManifest manifest;
  for (int i = 0; i < 4; ++i) manifest.mutable_train()->add_entries();  // 100 virtual samples
  const auto samples = [&](int batches) {
    spec.mutable_loop()->set_train_batches(batches);
    return plan_inputs(spec, manifest).epoch_samples;
  };
  EXPECT_EQ(plan_inputs(spec, manifest).epoch_samples, 0U);
  EXPECT_EQ(samples(1), 16U);
  EXPECT_EQ(samples(2), 16U);
  EXPECT_EQ(samples(3), 32U);
  EXPECT_EQ(samples(12), 96U);
  EXPECT_EQ(samples(13), 0U);  // 112 of 100: all
  EXPECT_EQ(samples(2147483647), 0U);
}

TEST(PlanInputs, Items_ReplaceTheEntries) {
  v1::JobSpec spec;
  spec.mutable_data()->set_train_repeat(3);
  spec.mutable_data()->set_val_repeat(5);
  v1::JobManifest manifest;
  manifest.mutable_train()->add_entries();
  manifest.mutable_train()->set_items(7);
  manifest.mutable_val()->add_entries();
  manifest.mutable_val()->add_entries();
  EXPECT_EQ(plan_inputs(spec, manifest).items, 7U);
  EXPECT_EQ(plan_inputs(spec, manifest).repeat, 3U);
  EXPECT_EQ(validation_samples(spec, manifest), 10);

  *manifest.mutable_val() = manifest.train();
  spec.mutable_data()->set_overfit(true);
  EXPECT_EQ(validation_samples(spec, manifest), 21);  // the training set

  spec.mutable_data()->set_overfit(false);
  spec.mutable_data()->set_overfit_peptide("AAAA");
  EXPECT_EQ(plan_inputs(spec, manifest).repeat, 1U);
  EXPECT_EQ(validation_samples(spec, manifest), 7);
}

}  // namespace
}  // namespace mdgen::data
