#include "core/sample/ode_checks.h"

#include <string>

namespace mdgen::sample {

void check_problem(const at::Tensor& x0, double t0, double t1) {
  if (x0.dim() < 1 || (x0.scalar_type() != at::kFloat && x0.scalar_type() != at::kDouble)) {
    throw Error(ErrorCode::kInvalidArgument, "an ODE's start must be a batch of float32 or float64");
  }
  if (!(t0 < t1)) {
    throw Error(ErrorCode::kInvalidArgument,
                "an ODE runs forward in time, not from " + std::to_string(t0) + " to " + std::to_string(t1));
  }
}

void check_drift_shape(const at::Tensor& slope, const at::Tensor& x) {
  if (slope.sizes() != x.sizes()) {
    throw Error(ErrorCode::kInternal, "the drift has another shape than the state");
  }
}

std::optional<std::int64_t> first_row_not_finite(const at::Tensor& values) {
  const at::Tensor bad = values.reshape({values.size(0), -1}).isfinite().all(1).logical_not().nonzero().cpu();
  if (bad.numel() == 0) return std::nullopt;
  return bad[0].item<std::int64_t>();
}

Error drift_not_finite(std::int64_t sample, double time) {
  return {ErrorCode::kDataLoss, "the drift of sample " + std::to_string(sample) +
                                    " of the batch is not finite at t = " + std::to_string(time)};
}

}  // namespace mdgen::sample
