// Dynamic loss scaling for float16 gradients, by the rules and constants of torch.amp.GradScaler.
#pragma once

#include <cstdint>

namespace mdgen::train {

// A plain value: equal calls on all ranks keep it equal. The loss is multiplied by scale() before backward,
// the reduced gradient by 1 / scale() before its norm is taken.
class LossScaler {
 public:
  static constexpr double kFirstScale = 65536;
  static constexpr double kGrowth = 2;
  static constexpr double kBackoff = 0.5;
  static constexpr std::int64_t kInterval = 2000;

  float scale() const { return scale_; }
  // Steps in a row with finite gradients since the scale last changed.
  std::int64_t growth_tracker() const { return tracker_; }

  // After a step: a gradient that was not finite halves the scale (the step must be skipped); the 2000th
  // finite one in a row doubles it, unless it would not be finite.
  void update(bool found_nonfinite);

  void restore(float scale, std::int64_t growth_tracker) { scale_ = scale, tracker_ = growth_tracker; }

 private:
  float scale_ = kFirstScale;
  std::int64_t tracker_ = 0;
};

// Whether a step is skipped, and whose fault it is.
enum class StepVerdict {
  kApply,
  kScaleTooLarge,  // the scaled gradient overflowed: ordinary, the scale is halved and training goes on
  kNotFinite       // loss or gradient is not finite by itself: the NaN guard's case
};

// Without scaling every gradient that is not finite is the guard's case. With it, those that remain so at a
// scale of 1 or less, or that come with a loss that is not finite: no smaller scale mends those.
StepVerdict judge_step(bool gradient_is_finite, bool loss_is_finite, const LossScaler* scaler);

}  // namespace mdgen::train
