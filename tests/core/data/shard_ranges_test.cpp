#include "core/data/shard_ranges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/base/error.h"
#include "core/base/sum_tree.h"
#include "plan_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
using Bounds = std::vector<std::int64_t>;

struct Quality {
  double most = 0;  // load of a rank
  std::size_t nodes = 0;
  auto operator<=>(const Quality&) const = default;
};

Quality quality_of(const std::vector<double>& costs, const Bounds& bounds) {
  Quality quality;
  for (std::size_t rank = 0; rank + 1 < bounds.size(); ++rank) {
    double load = 0;
    for (std::int64_t i = bounds[rank]; i < bounds[rank + 1]; ++i) load += costs[static_cast<std::size_t>(i)];
    quality.most = std::max(quality.most, load);
    quality.nodes += nodes_of(static_cast<std::int64_t>(costs.size()), bounds[rank], bounds[rank + 1]).size();
  }
  return quality;
}

// By trying every cut.
Quality best_of_all(const std::vector<double>& costs, int world_size) {
  const auto end = static_cast<std::int64_t>(costs.size());
  std::optional<Quality> best;
  Bounds bounds = {0};
  const std::function<void()> go_on = [&] {
    if (bounds.size() == static_cast<std::size_t>(world_size)) {
      bounds.push_back(end);
      const Quality quality = quality_of(costs, bounds);
      if (!best || quality < *best) best = quality;
      bounds.pop_back();
      return;
    }
    for (std::int64_t cut = bounds.back(); cut <= end; ++cut) {
      bounds.push_back(cut);
      go_on();
      bounds.pop_back();
    }
  };
  go_on();
  return *best;
}

TEST(ShardRanges, AreTheBestOfAllCuts) {
  Random random(5);
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<double> costs(random.between(0, 11));
    for (double& cost : costs) cost = random.between(1, trial % 2 == 0 ? 3 : 1000);
    const int world_size = static_cast<int>(random.between(1, 5));
    const Bounds bounds = shard_ranges(costs, world_size);
    ASSERT_EQ(bounds.size(), static_cast<std::size_t>(world_size) + 1);
    ASSERT_TRUE(std::is_sorted(bounds.begin(), bounds.end()));
    ASSERT_EQ(bounds.front(), 0);
    ASSERT_EQ(bounds.back(), static_cast<std::int64_t>(costs.size()));
    if (world_size == 1) continue;
    const Quality found = quality_of(costs, bounds);
    const Quality best = best_of_all(costs, world_size);
    ASSERT_EQ(found.most, best.most);
    ASSERT_EQ(found.nodes, best.nodes);
  }
}

TEST(ShardRanges, EqualCosts_AreCutAtTheTreesNodes) {
  EXPECT_THAT(shard_ranges(std::vector<double>(8, 1.0), 2), ElementsAre(0, 4, 8));
  EXPECT_THAT(shard_ranges(std::vector<double>(8, 1.0), 4), ElementsAre(0, 2, 4, 6, 8));
  // Two micro-batches at most in either case: {0 1}, {2 3}, {4}.
  EXPECT_EQ(quality_of(std::vector<double>(5, 1.0), shard_ranges(std::vector<double>(5, 1.0), 4)).nodes, 3U);
}

TEST(ShardRanges, MoreRanksThanMicroBatches_LeaveSomeEmpty) {
  const Bounds bounds = shard_ranges({5, 1, 1}, 6);
  EXPECT_EQ(quality_of({5, 1, 1}, bounds).most, 5);
  EXPECT_EQ(bounds.back(), 3);
}

TEST(ShardRanges, ManyMicroBatches_AreNearTheMean) {
  Random random(6);
  std::vector<double> costs(2000);
  double sum = 0;
  for (double& cost : costs) sum += cost = random.between(1, 100000);
  for (const int world_size : {3, 64}) {
    EXPECT_LE(quality_of(costs, shard_ranges(costs, world_size)).most, sum / world_size + 100000);
  }
}

TEST(ShardRanges, NoRanks_AreAnError) { EXPECT_THROW(shard_ranges({1}, 0), Error); }

}  // namespace
}  // namespace mdgen::data
