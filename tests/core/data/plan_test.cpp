#include "core/data/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "core/base/error.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<std::uint32_t> first_integers(std::uint32_t count) {
  std::vector<std::uint32_t> values(count);
  std::iota(values.begin(), values.end(), 0U);
  return values;
}

std::vector<std::uint32_t> flattened(const std::vector<std::vector<MicroBatch>>& ranks) {
  std::vector<std::uint32_t> all;
  for (const auto& rank : ranks) {
    for (const MicroBatch& batch : rank) all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

// Random numbers for test configurations only; the code under test has its own.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint32_t between(std::uint32_t low, std::uint32_t high) {
    return low + static_cast<std::uint32_t>(engine_() % (high - low + 1));
  }

 private:
  std::mt19937_64 engine_;
};

PlanInputs random_inputs(Random& random) {
  PlanInputs inputs;
  inputs.seed = random.between(0, 1000000);
  inputs.items = random.between(1, 40);
  inputs.repeat = random.between(1, 4);
  inputs.global_batch_size = random.between(1, 50);
  inputs.batch_size = random.between(1, 9);
  inputs.epochs = random.between(1, 4);
  inputs.max_steps = random.between(0, 1) == 0 ? 0 : random.between(1, 30);
  return inputs;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(EpochOrder, IsAPermutation) {
  Random random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    const std::uint32_t count = random.between(0, 200);
    const auto order = epoch_order(random.between(0, 1 << 30), random.between(0, 10000), count);
    ASSERT_EQ(sorted(order), first_integers(count));
  }
}

// A change of these values breaks the resumption of every run: it needs a new plan version.
TEST(EpochOrder, GoldenValues) {
  EXPECT_THAT(epoch_order(137, 0, 10), ElementsAre(6, 1, 4, 5, 2, 3, 7, 8, 0, 9));
  EXPECT_THAT(epoch_order(137, 1, 10), ElementsAre(6, 0, 4, 1, 2, 7, 9, 8, 3, 5));
  EXPECT_THAT(epoch_order(0xFFFFFFFF00000001, 9999, 7), ElementsAre(6, 2, 0, 1, 4, 3, 5));
}

TEST(EpochOrder, AllPermutationsAreEquallyLikely) {
  std::map<std::vector<std::uint32_t>, int> counts;
  constexpr int kTrials = 24000;
  for (int epoch = 0; epoch < kTrials; ++epoch) ++counts[epoch_order(5, epoch, 4)];
  ASSERT_EQ(counts.size(), 24U);
  double chi_squared = 0;
  for (const auto& [order, count] : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 49.7);  // 23 degrees of freedom, p = 0.001
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
      ASSERT_EQ(seen, epoch_order(inputs.seed, epoch, count));
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
  };
  EXPECT_EQ(digests.size(), 8U);
  EXPECT_EQ(changed([](PlanInputs& p) { p.epochs = 9; }), plan_digest(inputs));
  EXPECT_EQ(changed([](PlanInputs& p) { p.max_steps = 9; }), plan_digest(inputs));
  EXPECT_EQ(plan_digest(inputs), "e091287eb9a9d9ceec226cdc4be6180a1088a9fada76b0c6e8231c862cb9b4cc");
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

TEST(MicroBatches, KeepOrderAndSize) {
  EXPECT_THAT(micro_batches({5, 3, 8, 1, 7}, 2),
              ElementsAre(ElementsAre(5, 3), ElementsAre(8, 1), ElementsAre(7)));
  EXPECT_TRUE(micro_batches({}, 2).empty());
  EXPECT_THAT(message_of([] { micro_batches({1}, 0); }), HasSubstr("batch_size"));
}

TEST(Assign, EveryWorldSizeHasEachMicroBatchOnce) {
  Random random(4);
  for (int trial = 0; trial < 1500; ++trial) {
    RunPlan plan(random_inputs(random));
    const StepPlan step = plan.step(random.between(0, static_cast<std::uint32_t>(plan.total_steps() - 1)));
    const auto batches = micro_batches(step.samples, plan.inputs().batch_size);
    std::vector<double> costs;
    for (std::size_t b = 0; b < batches.size(); ++b) costs.push_back(random.between(1, 100000));
    const std::set<MicroBatch> whole(batches.begin(), batches.end());
    const int world_size = static_cast<int>(random.between(1, 64));
    const auto ranks = assign(batches, costs, world_size);
    ASSERT_EQ(ranks.size(), static_cast<std::size_t>(world_size));
    ASSERT_EQ(sorted(flattened(ranks)), sorted(step.samples));
    for (const auto& rank : ranks) {
      auto position = batches.begin();
      for (const MicroBatch& batch : rank) {
        ASSERT_TRUE(whole.contains(batch));
        position = std::find(position, batches.end(), batch);  // in the plan's order
        ASSERT_NE(position++, batches.end());
      }
    }
    ASSERT_EQ(ranks, assign(batches, costs, world_size));
  }
}

// Graham's bound for longest-processing-time-first: at most 4/3 - 1/(3 W) of the best possible.
TEST(Assign, Balance_IsWithinGrahamsBound) {
  Random random(5);
  for (int trial = 0; trial < 2000; ++trial) {
    const std::uint32_t count = random.between(1, 8);
    const int world_size = static_cast<int>(random.between(1, 3));
    std::vector<MicroBatch> batches;
    std::vector<double> costs;
    for (std::uint32_t b = 0; b < count; ++b) {
      batches.push_back({b});
      costs.push_back(random.between(1, 100));
    }
    double best = 1e300;
    std::uint32_t combinations = 1;
    for (std::uint32_t b = 0; b < count; ++b) combinations *= static_cast<std::uint32_t>(world_size);
    for (std::uint32_t code = 0; code < combinations; ++code) {
      std::vector<double> load(static_cast<std::size_t>(world_size));
      std::uint32_t rest = code;
      for (std::uint32_t b = 0; b < count; ++b, rest /= static_cast<std::uint32_t>(world_size)) {
        load[rest % static_cast<std::uint32_t>(world_size)] += costs[b];
      }
      best = std::min(best, *std::max_element(load.begin(), load.end()));
    }
    double longest = 0;
    for (const auto& rank : assign(batches, costs, world_size)) {
      double load = 0;
      for (const MicroBatch& batch : rank) load += costs[batch[0]];
      longest = std::max(longest, load);
    }
    ASSERT_LE(longest, best * (4.0 / 3.0 - 1.0 / (3.0 * world_size)) + 1e-9);
  }
}

TEST(Assign, TiesGoToTheLowerRankAndTheEarlierBatch) {
  const std::vector<MicroBatch> batches{{0}, {1}, {2}, {3}, {4}};
  EXPECT_THAT(assign(batches, {1, 1, 1, 1, 1}, 2),
              ElementsAre(ElementsAre(MicroBatch{0}, MicroBatch{2}, MicroBatch{4}),
                          ElementsAre(MicroBatch{1}, MicroBatch{3})));
  EXPECT_THAT(assign(batches, {1, 2, 4, 1, 1}, 3),
              ElementsAre(ElementsAre(MicroBatch{2}), ElementsAre(MicroBatch{1}, MicroBatch{4}),
                          ElementsAre(MicroBatch{0}, MicroBatch{3})));
}

TEST(Assign, FewerMicroBatchesThanRanks_LeavesRanksEmpty) {
  EXPECT_THAT(assign({{7, 8}}, {3.0}, 3),
              ElementsAre(ElementsAre(MicroBatch{7, 8}), ElementsAre(), ElementsAre()));
}

TEST(Assign, CostsThatDoNotMatch_Throws) {
  EXPECT_THAT(message_of([] { assign({{1}, {2}}, {1.0}, 2); }), HasSubstr("2 micro-batches, 1 costs"));
  EXPECT_THAT(message_of([] { assign({{1}}, {1.0}, 0); }), HasSubstr("world size 0"));
}

}  // namespace
}  // namespace mdgen::data
