#include "core/data/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "plan_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;

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

TEST(BucketedOrder, IsAPermutation) {
  Random random(7);
  for (int trial = 0; trial < 3000; ++trial) {
    const SampleSizes sizes = random_sizes(random, random.between(1, 50));
    const std::uint32_t count = random.between(0, 200);
    const auto order = bucketed_order(random.between(0, 1 << 30), random.between(0, 10000), count, sizes,
                                      random.between(1, 220));
    ASSERT_EQ(sorted(order), first_integers(count));
  }
}

// A change of these values breaks the resumption of bucketed runs: it needs a new plan version.
TEST(BucketedOrder, GoldenValues) {
  const SampleSizes sizes{.residues = {40, 256, 80, 256, 120, 40, 200}};
  EXPECT_THAT(bucketed_order(137, 0, 7, sizes, 2), ElementsAre(2, 4, 6, 1, 5, 0, 3));
  EXPECT_THAT(bucketed_order(137, 1, 14, sizes, 4),
              ElementsAre(0, 12, 5, 7, 4, 11, 6, 13, 1, 10, 3, 8, 2, 9));
}

std::int32_t bucket(const SampleSizes& sizes, std::uint32_t sample) { return (sizes.of(sample) + 31) / 32; }

// Sorted by bucket, the whole steps overlap at most at their ends.
TEST(BucketedOrder, AStepsSamplesAreNeighboursInLength) {
  Random random(8);
  for (int trial = 0; trial < 2000; ++trial) {
    const SampleSizes sizes = random_sizes(random, 60);
    const std::uint32_t step = random.between(1, 70);
    const auto order = bucketed_order(trial, random.between(0, 99), 60, sizes, step);
    std::vector<std::pair<std::int32_t, std::int32_t>> ranges;
    for (std::size_t begin = 0; begin < order.size(); begin += step) {
      const auto end = std::min(order.size(), begin + step);
      std::int32_t low = 1 << 30;
      std::int32_t high = 0;
      for (std::size_t i = begin; i < end; ++i) {
        low = std::min(low, bucket(sizes, order[i]));
        high = std::max(high, bucket(sizes, order[i]));
      }
      ranges.emplace_back(low, high);
    }
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i) ASSERT_LE(ranges[i - 1].second, ranges[i].first);
  }
}

// Over epochs a sample is in every step equally often, and the short step has every length.
TEST(BucketedOrder, StepsAreShuffled_AndTheShortStepIsOfAnyLength) {
  SampleSizes sizes{.residues = {}};
  for (int i = 0; i < 25; ++i) sizes.residues.push_back(i * 10 + 1);
  constexpr int kTrials = 14000;
  std::vector<int> step_of_longest(7);
  std::map<std::uint32_t, int> in_short_step;
  for (int epoch = 0; epoch < kTrials; ++epoch) {
    const auto order = bucketed_order(3, epoch, 25, sizes, 4);
    for (std::size_t i = 0; i < 24; ++i) {
      if (order[i] == 24) ++step_of_longest[i / 4];
    }
    ++in_short_step[order[24]];
  }
  // The two longest share a bucket; one of them is the short step when that is cut out at the end: in 1 epoch
  // of 7.
  for (std::size_t step = 0; step < 6; ++step)
    EXPECT_NEAR(step_of_longest[step], kTrials * 13.0 / 14 / 6, 200);
  EXPECT_GE(in_short_step.size(), 15U);
  for (const auto& [sample, count] : in_short_step) EXPECT_LT(count, kTrials / 6) << sample;
}

TEST(BucketedOrder, EqualLengths_AllPermutationsOccur) {
  const SampleSizes sizes{.residues = {100}};
  std::map<std::vector<std::uint32_t>, int> counts;
  for (int epoch = 0; epoch < 24000; ++epoch) ++counts[bucketed_order(5, epoch, 4, sizes, 2)];
  ASSERT_EQ(counts.size(), 24U);
  double chi_squared = 0;
  for (const auto& [order, count] : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 49.7);  // 23 degrees of freedom, p = 0.001
}

TEST(BucketedOrder, StepsOfNothing_Throws) {
  EXPECT_THAT(message_of([] { bucketed_order(1, 0, 3, {}, 0); }), ::testing::HasSubstr("steps of 0 samples"));
}

}  // namespace
}  // namespace mdgen::data
