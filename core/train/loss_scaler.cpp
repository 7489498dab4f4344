#include "core/train/loss_scaler.h"

#include <cmath>

namespace mdgen::train {

void LossScaler::update(bool found_nonfinite) {
  if (found_nonfinite) {
    scale_ = static_cast<float>(scale_ * kBackoff);
    tracker_ = 0;
    return;
  }
  if (++tracker_ < kInterval) return;
  const auto grown = static_cast<float>(scale_ * kGrowth);
  if (std::isfinite(grown)) scale_ = grown;
  tracker_ = 0;
}

StepVerdict judge_step(bool gradient_is_finite, bool loss_is_finite, const LossScaler* scaler) {
  if (gradient_is_finite && loss_is_finite) return StepVerdict::kApply;
  const bool scale_can_be_blamed = scaler != nullptr && scaler->scale() > 1 && loss_is_finite;
  return scale_can_be_blamed ? StepVerdict::kScaleTooLarge : StepVerdict::kNotFinite;
}

}  // namespace mdgen::train
