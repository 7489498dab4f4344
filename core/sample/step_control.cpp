#include "core/sample/step_control.h"

#include <algorithm>
#include <cmath>

namespace mdgen::sample {
namespace {

constexpr double kOrder = 5;
constexpr double kSafety = 0.9;
constexpr double kLargestGrowth = 10;
constexpr double kLargestShrinkage = 0.2;
constexpr double kSmallStep = 1e-6;

}  // namespace

double probe_step(double state_norm, double drift_norm) {
  constexpr double kNone = 1e-5;
  if (state_norm < kNone || drift_norm < kNone) return kSmallStep;
  return 0.01 * state_norm / drift_norm;
}

double first_step(double probe, double drift_norm, double curvature) {
  constexpr double kNone = 1e-15;
  const bool at_rest = drift_norm <= kNone && curvature <= kNone;
  const double step = at_rest ? std::max(kSmallStep, probe * 1e-3)
                              : std::pow(0.01 / std::max(drift_norm, curvature), 1 / kOrder);
  return std::min(100 * probe, step);
}

double next_step(double step, double error) {
  if (error == 0) return step * kLargestGrowth;
  const double least = error < 1 ? 1 : kLargestShrinkage;
  return step * std::min(kLargestGrowth, std::max(kSafety / std::pow(error, 1 / kOrder), least));
}

}  // namespace mdgen::sample
