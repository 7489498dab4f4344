// What must hold of every run, over thousands of random configurations: who computes which sample when, under
// any number of ranks, any change of it and any restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "core/data/assignment.h"
#include "core/data/draws.h"
#include "plan_fixture.h"

namespace mdgen::data {
namespace {

int any_world_size(Random& random) { return static_cast<int>(random.between(1, 64)); }

// What each rank computes in a step.
std::vector<std::vector<MicroBatch>> shares(const PlanInputs& inputs, const StepPlan& step, int world_size) {
  const auto batches = micro_batches(step.samples, inputs.sizes, inputs.batch_size);
  std::vector<double> costs;
  for (const MicroBatch& batch : batches) costs.push_back(micro_batch_cost(inputs.sizes, batch));
  std::vector<std::vector<MicroBatch>> ranks;
  for (const auto& share : assign(costs, world_size)) {
    ranks.emplace_back();
    for (const std::size_t number : share) ranks.back().push_back(batches.at(number));
  }
  return ranks;
}

std::vector<MicroBatch> all_of(const std::vector<std::vector<MicroBatch>>& ranks) {
  std::vector<MicroBatch> all;
  for (const auto& rank : ranks) all.insert(all.end(), rank.begin(), rank.end());
  return all;
}

TEST(PlanProperties, EveryEpochHasEverySampleOnce_WhateverTheRanksAndRestarts) {
  Random random(11);
  std::int64_t steps = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    PlanInputs inputs = random_inputs(random);
    inputs.max_steps = 0;
    const std::uint32_t count = inputs.items * inputs.repeat;
    auto plan = std::make_unique<RunPlan>(inputs);
    std::vector<std::uint32_t> seen;
    for (std::int64_t s = 0; s < plan->total_steps(); ++s, ++steps) {
      if (random.between(0, 4) == 0) plan = std::make_unique<RunPlan>(inputs);  // a restart
      const StepPlan step = plan->step(s);
      const auto ranks = shares(inputs, step, any_world_size(random));
      const std::vector<std::uint32_t> used = flattened(all_of(ranks));
      ASSERT_EQ(sorted(used), sorted(step.samples));
      seen.insert(seen.end(), used.begin(), used.end());
      if (!step.last_of_epoch) continue;
      ASSERT_EQ(sorted(seen), first_integers(count));
      seen.clear();
    }
    ASSERT_TRUE(seen.empty());
  }
  EXPECT_GT(steps, 10000);
}

TEST(PlanProperties, MicroBatchesAreTheSameForEveryWorldSize) {
  Random random(12);
  for (int trial = 0; trial < 3000; ++trial) {
    RunPlan plan(random_inputs(random));
    const StepPlan step = plan.step(random.between(0, static_cast<std::uint32_t>(plan.total_steps() - 1)));
    const auto alone = all_of(shares(plan.inputs(), step, 1));
    ASSERT_EQ(alone, micro_batches(step.samples, plan.inputs().sizes, plan.inputs().batch_size));
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(sorted(all_of(shares(plan.inputs(), step, any_world_size(random)))), sorted(alone));
    }
  }
}

// train_batches keeps the beginning of an order: another part of the samples each epoch, none twice in one.
TEST(PlanProperties, ACutEpoch_IsTheBeginningOfAPermutation) {
  Random random(13);
  for (int trial = 0; trial < 1500; ++trial) {
    PlanInputs inputs = random_inputs(random);
    inputs.max_steps = 0;
    const std::uint32_t count = inputs.items * inputs.repeat;
    const std::uint32_t steps =
        random.between(1, (count + inputs.global_batch_size - 1) / inputs.global_batch_size);
    inputs.epoch_samples = std::min(count, steps * inputs.global_batch_size);
    PlanInputs whole = inputs;
    whole.epoch_samples = 0;
    RunPlan plan(inputs);
    RunPlan uncut(whole);
    ASSERT_EQ(plan.steps_per_epoch(), steps);
    for (std::int64_t epoch = 0; epoch < inputs.epochs; ++epoch) {
      for (std::int64_t s = 0; s < steps; ++s) {
        const StepPlan step = plan.step(epoch * steps + s);
        ASSERT_EQ(step.samples, uncut.step(epoch * uncut.steps_per_epoch() + s).samples);
        ASSERT_EQ(step.last_of_epoch, s + 1 == steps);
      }
    }
  }
}

// A sample's content is a function of (seed, epoch, sample) and its protein alone. What a rank draws in any
// order, for any world size, is what is drawn here in the plan's order.
struct Content {
  std::uint64_t hash = 0;
  std::vector<float> noise;  // of the residues that are shown, by their number in the protein
  bool operator==(const Content&) const = default;
};

Content content(const DrawKey& key, const v1::ManifestEntry& entry, const WindowRules& rules) {
  const Window window = draw_window(key, entry, rules);
  Content drawn{.hash = sample_hash(key, window, draw_flow_time(key)), .noise = std::vector<float>(7)};
  draw_noise(key, rules.num_frames - 1, window.crop_start, drawn.noise);
  return drawn;
}

v1::ManifestEntry random_entry(Random& random, std::uint32_t number) {
  v1::ManifestEntry entry;
  entry.set_name("p" + std::to_string(number));
  entry.set_residues(static_cast<std::int32_t>(random.between(1, 400)));
  for (std::uint32_t i = random.between(1, 3); i > 0; --i)
    entry.add_replicas()->set_frames(random.between(8, 60));
  return entry;
}

TEST(PlanProperties, DrawsDependOnTheSampleAlone) {
  Random random(14);
  for (int trial = 0; trial < 400; ++trial) {
    PlanInputs inputs = random_inputs(random);
    std::vector<v1::ManifestEntry> entries;
    for (std::uint32_t i = 0; i < inputs.items; ++i) entries.push_back(random_entry(random, i));
    const WindowRules rules{.num_frames = 8, .crop = static_cast<std::int32_t>(random.between(1, 300))};
    RunPlan plan(inputs);
    const StepPlan step = plan.step(random.between(0, static_cast<std::uint32_t>(plan.total_steps() - 1)));
    const auto drawn = [&](const std::vector<std::uint32_t>& samples) {
      std::map<std::uint32_t, Content> found;
      for (const std::uint32_t sample : samples) {
        const DrawKey key{inputs.seed, static_cast<std::uint32_t>(step.epoch), sample};
        found[sample] = content(key, entries[sample % entries.size()], rules);
      }
      return found;
    };
    const auto planned = drawn(step.samples);
    ASSERT_EQ(drawn(flattened(all_of(shares(inputs, step, any_world_size(random))))), planned);
  }
}

// train_repeat, val_repeat, overfit and overfit_peptide repeat an entry: each time it is another sample.
TEST(PlanProperties, RepeatsOfAnEntryAreDrawnAnew) {
  Random random(15);
  for (int trial = 0; trial < 300; ++trial) {
    const v1::ManifestEntry entry = random_entry(random, 0);
    const std::uint32_t epoch = random.coin() ? kValidationEpoch : random.between(0, 9999);
    const std::uint32_t entries = random.between(1, 9);
    std::map<std::uint64_t, int> hashes;
    std::map<float, int> noise;
    for (std::uint32_t repeat = 0; repeat < 50; ++repeat) {
      const Content drawn = content({99, epoch, 3 + repeat * entries}, entry, {.num_frames = 8, .crop = 20});
      ++hashes[drawn.hash];
      ++noise[drawn.noise[0]];
    }
    ASSERT_EQ(hashes.size(), 50U);
    ASSERT_EQ(noise.size(), 50U);
  }
}

// Noise is indexed by the residue's number in the protein: another crop or padding shows the same values.
TEST(PlanProperties, NoiseOfAResidueIsTheSameInEveryCrop) {
  Random random(16);
  for (int trial = 0; trial < 300; ++trial) {
    const DrawKey key{random.between(0, 99), random.between(0, 99), random.between(0, 99)};
    const auto residue = static_cast<std::int32_t>(random.between(0, 1000));
    const std::int64_t frame = random.between(0, 249);
    std::vector<float> all(21);
    draw_noise(key, frame, residue, all);
    std::vector<float> few(random.between(1, 20));  // channels are drawn by their own numbers
    draw_noise(key, frame, residue, few);
    ASSERT_TRUE(std::equal(few.begin(), few.end(), all.begin()));
  }
}

// 251 frames and windows of 250: the reference never draws the second one (B6).
TEST(PlanProperties, AtlasWindows_BothAreDrawn) {
  v1::ManifestEntry entry;
  entry.set_name("4ake_A");
  entry.set_residues(214);
  for (int i = 0; i < 3; ++i) entry.add_replicas()->set_frames(251);
  std::map<std::int64_t, int> fixed;
  std::map<std::int64_t, int> kept;
  for (std::uint32_t sample = 0; sample < 1000; ++sample) {
    ++fixed[draw_window({137, 0, sample}, entry, {.num_frames = 250, .crop = 256}).frame_start];
    ++kept[draw_window({137, 0, sample}, entry, {.num_frames = 250, .crop = 256, .omit_last = true})
               .frame_start];
  }
  ASSERT_EQ(fixed.size(), 2U);
  EXPECT_NEAR(fixed[0], 500, 60);
  EXPECT_NEAR(fixed[1], 500, 60);
  EXPECT_EQ(kept, (std::map<std::int64_t, int>{{0, 1000}}));
}

TEST(PlanProperties, ExtremeSizes) {
  const SampleSizes one{.residues = {4}};
  RunPlan single(
      {.items = 1, .global_batch_size = 64, .batch_size = 8, .sizes = one});  // more than there are
  EXPECT_EQ(single.total_steps(), 1);
  const StepPlan step = single.step(0);
  EXPECT_EQ(step.samples, std::vector<std::uint32_t>{0});
  EXPECT_TRUE(step.last_of_epoch);
  const auto ranks = shares(single.inputs(), step, 4096);
  EXPECT_EQ(ranks.size(), 4096U);
  EXPECT_EQ(flattened(all_of(ranks)), std::vector<std::uint32_t>{0});

  for (const Order order : {Order::kShuffled, Order::kBucketed}) {
    const SampleSizes two{.residues = {40, 300}};
    RunPlan repeated({.items = 2,
                      .repeat = 300000,
                      .global_batch_size = 4096,
                      .batch_size = 8,
                      .order = order,
                      .sizes = two});
    std::vector<bool> seen(600000);
    for (std::int64_t s = 0; s < repeated.total_steps(); ++s) {
      for (const std::uint32_t sample : repeated.step(s).samples) {
        ASSERT_FALSE(seen[sample]);
        seen[sample] = true;
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 600000);
  }
}

}  // namespace
}  // namespace mdgen::data
