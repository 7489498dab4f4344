#include "core/data/assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "plan_fixture.h"

namespace mdgen::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Shares = std::vector<std::vector<std::size_t>>;

// As it was before exchanges: the longest first, to the least loaded rank.
Shares longest_first(const std::vector<double>& costs, int world_size) {
  std::vector<std::size_t> by_cost(costs.size());
  std::iota(by_cost.begin(), by_cost.end(), std::size_t{0});
  std::stable_sort(by_cost.begin(), by_cost.end(),
                   [&](std::size_t a, std::size_t b) { return costs[a] > costs[b]; });
  std::vector<double> load(static_cast<std::size_t>(world_size));
  Shares shares(load.size());
  for (const std::size_t batch : by_cost) {
    const auto rank = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    load[rank] += costs[batch];
    shares[rank].push_back(batch);
  }
  for (auto& share : shares) std::sort(share.begin(), share.end());
  return shares;
}

double largest_load(const Shares& shares, const std::vector<double>& costs) {
  double largest = 0;
  for (const auto& share : shares) {
    double load = 0;
    for (const std::size_t batch : share) load += costs[batch];
    largest = std::max(largest, load);
  }
  return largest;
}

std::vector<double> random_costs(Random& random, std::uint32_t count, std::uint32_t most) {
  std::vector<double> costs;
  for (std::uint32_t i = 0; i < count; ++i) costs.push_back(random.between(1, most));
  return costs;
}

TEST(Assign, EveryWorldSizeHasEachMicroBatchOnceInOrder) {
  Random random(4);
  for (int trial = 0; trial < 3000; ++trial) {
    const std::vector<double> costs = random_costs(random, random.between(0, 120), 100000);
    const int world_size = static_cast<int>(random.between(1, 64));
    const Shares shares = assign(costs, world_size);
    ASSERT_EQ(shares.size(), static_cast<std::size_t>(world_size));
    std::set<std::size_t> all;
    std::size_t count = 0;
    for (const auto& share : shares) {
      ASSERT_TRUE(std::is_sorted(share.begin(), share.end()));
      all.insert(share.begin(), share.end());
      count += share.size();
    }
    ASSERT_EQ(count, costs.size());
    ASSERT_EQ(all.size(), costs.size());
    ASSERT_TRUE(costs.empty() || *all.rbegin() < costs.size());
    ASSERT_EQ(shares, assign(costs, world_size));
  }
}

// The step's last micro-batch may be smaller.
TEST(Assign, EqualCosts_AreSpreadAsWithoutExchanges) {
  Random random(5);
  for (int trial = 0; trial < 3000; ++trial) {
    std::vector<double> costs(random.between(1, 200), random.between(2, 1000));
    costs.back() = random.between(1, static_cast<std::uint32_t>(costs.back()));
    const int world_size = static_cast<int>(random.between(1, 64));
    ASSERT_EQ(assign(costs, world_size), longest_first(costs, world_size));
  }
}

TEST(Assign, IsNeverWorseThanLongestFirst_AndOftenBetter) {
  Random random(6);
  int better = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    const std::vector<double> costs = random_costs(random, random.between(1, 64), 1000);
    const int world_size = static_cast<int>(random.between(1, 16));
    const double before = largest_load(longest_first(costs, world_size), costs);
    const double after = largest_load(assign(costs, world_size), costs);
    ASSERT_LE(after, before);
    better += after < before ? 1 : 0;
  }
  EXPECT_GT(better, 300);
}

// Graham's bound for longest-processing-time-first: at most 4/3 - 1/(3 W) of the best possible.
TEST(Assign, Balance_IsWithinGrahamsBound) {
  Random random(5);
  for (int trial = 0; trial < 2000; ++trial) {
    const std::uint32_t count = random.between(1, 8);
    const auto world_size = random.between(1, 3);
    const std::vector<double> costs = random_costs(random, count, 100);
    double best = 1e300;
    std::uint32_t combinations = 1;
    for (std::uint32_t b = 0; b < count; ++b) combinations *= world_size;
    for (std::uint32_t code = 0; code < combinations; ++code) {
      std::vector<double> load(world_size);
      std::uint32_t rest = code;
      for (std::uint32_t b = 0; b < count; ++b, rest /= world_size) load[rest % world_size] += costs[b];
      best = std::min(best, *std::max_element(load.begin(), load.end()));
    }
    const double longest = largest_load(assign(costs, static_cast<int>(world_size)), costs);
    ASSERT_LE(longest, best * (4.0 / 3.0 - 1.0 / (3.0 * world_size)) + 1e-9);
  }
}

TEST(Assign, TiesGoToTheLowerRankAndTheEarlierBatch) {
  EXPECT_THAT(assign({1, 1, 1, 1, 1}, 2), ElementsAre(ElementsAre(0, 2, 4), ElementsAre(1, 3)));
  EXPECT_THAT(assign({1, 2, 4, 1, 1}, 3), ElementsAre(ElementsAre(2), ElementsAre(1, 4), ElementsAre(0, 3)));
}

// Longest first gives 6 + 5 and 6 + 4 + 4; exchanging a 6 for the 5 gives 12 and 13.
TEST(Assign, Exchange_LowersTheLargestLoad) {
  const std::vector<double> costs{6, 6, 5, 4, 4};
  EXPECT_EQ(largest_load(longest_first(costs, 2), costs), 14);
  EXPECT_EQ(largest_load(assign(costs, 2), costs), 13);
}

TEST(Assign, FewerMicroBatchesThanRanks_LeavesRanksEmpty) {
  EXPECT_THAT(assign({3.0}, 3), ElementsAre(ElementsAre(0), ElementsAre(), ElementsAre()));
  const Shares shares = assign({7.0}, 4096);
  EXPECT_EQ(shares.size(), 4096U);
  EXPECT_THAT(shares.front(), ElementsAre(0));
}

TEST(Assign, NoRanks_Throws) {
  EXPECT_THAT(message_of([] { assign({1}, 0); }), HasSubstr("world size 0"));
}

}  // namespace
}  // namespace mdgen::data
