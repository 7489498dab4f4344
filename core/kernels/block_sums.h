// Sums that do not depend on the number of threads.
#pragma once

#include <torch/torch.h>

namespace mdgen::kernels {

// (P, N, C) contiguous float32 on the CPU -> (P, C): block after block, in the order of N.
inline at::Tensor sum_of_blocks(const at::Tensor& blocks) {
  const std::int64_t channels = blocks.size(2);
  at::Tensor total = blocks.select(1, 0).clone();
  for (std::int64_t part = 0; part < blocks.size(0); ++part) {
    float* to = total.data_ptr<float>() + part * channels;
    for (std::int64_t block = 1; block < blocks.size(1); ++block) {
      const float* from = blocks.const_data_ptr<float>() + (part * blocks.size(1) + block) * channels;
      for (std::int64_t c = 0; c < channels; ++c) to[c] += from[c];
    }
  }
  return total;
}

}  // namespace mdgen::kernels
