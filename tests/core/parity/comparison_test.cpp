#include "core/parity/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mdgen::parity {
namespace {

TEST(RelativeDifferenceTest, IsTheLargestDifferenceOverTheLargestGoldenValue) {
  const at::Tensor golden = at::tensor({4.0F, -8.0F, 0.0F});
  EXPECT_DOUBLE_EQ(relative_difference(golden, golden), 0);
  EXPECT_DOUBLE_EQ(relative_difference(at::tensor({4.0F, -8.0F, 2.0F}), golden), 0.25);
}

TEST(RelativeDifferenceTest, IsInfiniteWhenNothingCanBeCompared) {
  const at::Tensor golden = at::ones({2, 3});
  EXPECT_TRUE(std::isinf(relative_difference(at::ones({3, 2}), golden)));
  EXPECT_TRUE(std::isinf(relative_difference(at::Tensor(), golden)));
  EXPECT_TRUE(std::isinf(relative_difference(golden * std::numeric_limits<float>::quiet_NaN(), golden)));
  EXPECT_TRUE(std::isinf(relative_difference(golden, golden * std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isinf(relative_difference(golden, at::zeros({2, 3}))));
  EXPECT_DOUBLE_EQ(relative_difference(at::zeros({2, 3}), at::zeros({2, 3})), 0);
}

TEST(RelativeDifferenceTest, SeesSingleUnitsInIntegers) {
  const at::Tensor golden = at::tensor({3, 20}, at::kLong);
  EXPECT_DOUBLE_EQ(relative_difference(at::tensor({3, 19}, at::kLong), golden), 0.05);
}

TEST(FamilyTest, ShowsTheWorstAndNamesWhatIsPastItsTolerance) {
  Family family("grad");
  EXPECT_EQ(family.text(), "grad=-");
  family.compare("a", at::full({1}, 1.00001), at::ones({1}), 1e-4);
  EXPECT_TRUE(family.passed());
  family.compare("b", at::full({1}, 1.25), at::ones({1}), 1e-4);
  EXPECT_EQ(family.text(), "grad=2e-1");
  EXPECT_THAT(family.problems(), ::testing::ElementsAre("grad: b differs by 2e-1, allowed 1e-4"));
}

TEST(FamilyTest, AGoldenTensorThatIsNotComputedIsAProblem) {
  Family family("prep");
  family.compare_all({{"latents", at::ones({1})}}, {{"latents", at::ones({1})}, {"extra", at::ones({1})}}, 0);
  EXPECT_THAT(family.problems(), ::testing::ElementsAre("prep: extra is not computed"));
}

TEST(ShortNumberTest, HasOneDigitAndNoPadding) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(3.2e-7), "3e-7");
  EXPECT_EQ(short_number(4e-16), "4e-16");
  EXPECT_EQ(short_number(2), "2e+0");
  EXPECT_EQ(short_number(1e10), "1e+10");
  EXPECT_EQ(short_number(std::numeric_limits<double>::infinity()), "inf");
}

}  // namespace
}  // namespace mdgen::parity
