#include <string>

#include "core/base/error.h"
#include "core/sample/ode.h"
#include "core/sample/ode_checks.h"

namespace mdgen::sample {

OdeResult euler(const Drift& drift, const at::Tensor& x0, double t0, double t1, std::int64_t steps) {
  const torch::NoGradGuard no_grad;
  check_problem(x0, t0, t1);
  if (steps < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "euler: " + std::to_string(steps) + " steps, must be at least 1");
  }
  const std::int64_t samples = x0.size(0);
  const at::Tensor rows = at::arange(samples, x0.options().dtype(at::kLong));
  // Float32 times as the reference's linspace.
  const at::Tensor grid = at::linspace(t0, t1, steps + 1, at::dtype(at::kFloat));
  OdeResult out;
  out.x = x0;
  out.accepted.assign(static_cast<std::size_t>(samples), steps);
  out.rejected.assign(static_cast<std::size_t>(samples), 0);
  for (std::int64_t i = 0; i < steps; ++i) {
    const float now = grid[i].item<float>();
    const float step = grid[i + 1].item<float>() - now;
    const at::Tensor slope = drift(at::full({samples}, now, x0.options()), out.x, rows);
    ++out.evaluations;
    check_drift_shape(slope, out.x);
    if (const auto bad = first_row_not_finite(slope)) throw drift_not_finite(*bad, now);
    out.x = out.x + slope * step;
  }
  return out;
}

}  // namespace mdgen::sample
