// What the solvers ask of their problem. Internal to core/sample.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>

#include "core/base/error.h"

namespace mdgen::sample {

// Throws Error(kInvalidArgument) unless x0 is a batch of float32 or float64 and t0 < t1.
void check_problem(const at::Tensor& x0, double t0, double t1);

// Throws Error(kInternal).
void check_drift_shape(const at::Tensor& slope, const at::Tensor& x);

// The first sample with a value that is not finite.
std::optional<std::int64_t> first_row_not_finite(const at::Tensor& values);

Error drift_not_finite(std::int64_t sample, double time);

}  // namespace mdgen::sample
