#include "core/train/loss_scaler.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>

namespace mdgen::train {
namespace {

// LibTorch's own update, which torch.amp.GradScaler calls.
struct Oracle {
  void update(bool found) {
    at::_amp_update_scale_(scale, tracker, at::full({1}, found ? 1.0F : 0.0F), LossScaler::kGrowth,
                           LossScaler::kBackoff, LossScaler::kInterval);
  }
  at::Tensor scale = at::full({1}, 65536.0F);
  at::Tensor tracker = at::zeros({1}, at::kInt);
};

TEST(LossScalerTest, FollowsPyTorchsUpdate_OverAScriptedRun) {
  LossScaler scaler;
  Oracle oracle;
  int changes = 0;
  for (int step = 0; step < 9000; ++step) {
    // Overflows at the start, one just before and one just after the scale would grow, then long peace.
    const bool found = step < 3 || step == 2002 || step == 4003 || step == 4004;
    const float before = scaler.scale();
    scaler.update(found);
    oracle.update(found);
    ASSERT_EQ(scaler.scale(), oracle.scale.item<float>()) << "step " << step;
    ASSERT_EQ(scaler.growth_tracker(), oracle.tracker.item<std::int64_t>()) << "step " << step;
    changes += scaler.scale() != before ? 1 : 0;
  }
  EXPECT_EQ(changes, 9) << "three, one and two times halved, three times doubled";
}

TEST(LossScalerTest, NeverGrowsToInfinity_AndFallsAsFarAsPyTorchs) {
  LossScaler scaler;
  Oracle oracle;
  const float huge = 0x1.8p127F;
  scaler.restore(huge, LossScaler::kInterval - 1);
  oracle.scale.fill_(huge);
  oracle.tracker.fill_(LossScaler::kInterval - 1);
  scaler.update(false);
  oracle.update(false);
  EXPECT_EQ(scaler.scale(), huge);
  EXPECT_EQ(scaler.scale(), oracle.scale.item<float>());
  EXPECT_EQ(scaler.growth_tracker(), oracle.tracker.item<std::int64_t>());
  for (int i = 0; i < 200; ++i) {
    scaler.update(true);
    oracle.update(true);
    ASSERT_EQ(scaler.scale(), oracle.scale.item<float>());
  }
}

TEST(LossScalerTest, StartsAsPyTorchs_AndRestores) {
  LossScaler scaler;
  EXPECT_EQ(scaler.scale(), 65536);
  EXPECT_EQ(scaler.growth_tracker(), 0);
  scaler.restore(1024, 1999);
  scaler.update(false);
  EXPECT_EQ(scaler.scale(), 2048);
  EXPECT_EQ(scaler.growth_tracker(), 0);
}

TEST(JudgeStepTest, OnlyAScaleThatMattersIsBlamed) {
  LossScaler scaler;
  EXPECT_EQ(judge_step(true, true, nullptr), StepVerdict::kApply);
  EXPECT_EQ(judge_step(true, true, &scaler), StepVerdict::kApply);
  EXPECT_EQ(judge_step(false, true, nullptr), StepVerdict::kNotFinite);
  EXPECT_EQ(judge_step(false, true, &scaler), StepVerdict::kScaleTooLarge);
  EXPECT_EQ(judge_step(false, false, &scaler), StepVerdict::kNotFinite) << "no scale mends a loss";
  EXPECT_EQ(judge_step(true, false, nullptr), StepVerdict::kNotFinite);
  scaler.restore(1, 0);
  EXPECT_EQ(judge_step(false, true, &scaler), StepVerdict::kNotFinite);
}

}  // namespace
}  // namespace mdgen::train
