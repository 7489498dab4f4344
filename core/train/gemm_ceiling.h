// What a device reaches in matrix products: the ceiling that a step's operations are compared with.
#pragma once

#include <torch/torch.h>

#include <chrono>

#include "core/base/clock.h"
#include "core/train/numerics.h"

namespace mdgen::train {

inline constexpr std::chrono::milliseconds kProbe{60};

// The type in which a run of this precision multiplies matrices.
at::ScalarType product_type(const Precision& precision);

// Floating-point operations a second (two a multiplication) of the fastest of several products of square
// matrices, with the settings and threads of the calling thread. Takes `budget` and one product more; draws
// no random numbers.
double gemm_ceiling(at::ScalarType type, at::Device device, std::chrono::nanoseconds budget,
                    const Clock& clock);

}  // namespace mdgen::train
