#include "core/train/auto_precision.h"

#include <gtest/gtest.h>

namespace mdgen::train {
namespace {

TEST(AutoPrecisionTest, HalfPrecisionMustWinByATenth) {
  EXPECT_EQ(faster_precision({.float32 = 1, .bfloat16 = 0.5}), "bf16-mixed");
  EXPECT_EQ(faster_precision({.float32 = 1, .bfloat16 = 0.95}), "32-true");
  EXPECT_EQ(faster_precision({.float32 = 1, .bfloat16 = 1}), "32-true");
  EXPECT_EQ(faster_precision({.float32 = 1, .bfloat16 = 3}), "32-true");
}

TEST(AutoPrecisionTest, Measures_AndDrawsNoRandomNumbers) {
  at::manual_seed(1);
  const at::Tensor expected = at::rand({4});
  at::manual_seed(1);
  const LinearSeconds seconds = time_linears(at::kCPU, SystemClock());
  EXPECT_GT(seconds.float32, 0);
  EXPECT_GT(seconds.bfloat16, 0);
  EXPECT_TRUE(at::rand({4}).equal(expected));
}

}  // namespace
}  // namespace mdgen::train
