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

}  // namespace
}  // namespace mdgen::data
