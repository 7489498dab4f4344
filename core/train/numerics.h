// Process-wide settings of LibTorch that make a run's bits a function of its inputs.
#pragma once

#include <string>

namespace mdgen::train {

// Fixes the intra-op threads of the calling thread, chooses deterministic kernels, and switches every reduced
// precision off. Throws Error(kUnimplemented) for a precision other than exact fp32 ("32-true", "32").
void configure_numerics(const std::string& precision, int threads);

}  // namespace mdgen::train
