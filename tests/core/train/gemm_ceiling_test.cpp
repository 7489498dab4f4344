#include "core/train/gemm_ceiling.h"

#include <gtest/gtest.h>

namespace mdgen::train {
namespace {

using namespace std::chrono_literals;

TEST(GemmCeilingTest, Cpu_IsPlausibleAndBounded) {
  const SystemClock clock;
  const auto begin = clock.steady();
  const double flops = gemm_ceiling(at::kFloat, at::kCPU, 50ms, clock);
  EXPECT_LT(clock.steady() - begin, 2s) << "generous: the machine may be busy";
  EXPECT_GT(flops, 1e8);
  EXPECT_LT(flops, 1e14);
}

TEST(GemmCeilingTest, EveryTypeOfARun_CanBeMeasured) {
  const SystemClock clock;
  for (const char* precision : {"32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true"})
    EXPECT_GT(gemm_ceiling(product_type(precision_of(precision)), at::kCPU, 0ms, clock), 0) << precision;
}

TEST(GemmCeilingTest, DrawsNoRandomNumbers) {
  at::manual_seed(1);
  const at::Tensor expected = at::rand({4});
  at::manual_seed(1);
  gemm_ceiling(at::kFloat, at::kCPU, 0ms, SystemClock());
  EXPECT_TRUE(at::rand({4}).equal(expected));
}

}  // namespace
}  // namespace mdgen::train
