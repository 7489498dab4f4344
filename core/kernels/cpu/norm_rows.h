// Layer norm without weights, then * (1 + scale) + shift, over rows of C floats; optionally y = x + gate * f
// before it. Rows [begin, end) of one sample, whose shift, scale and gate (C each) are the same for all its
// rows. Channels lie side by side; x, f and the results have strides of rows. All sums run in a fixed order
// within a row (16 lanes) and from row to row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/cpu/dispatch.h"

namespace mdgen::kernels::cpu {

struct NormRows {
  std::int64_t begin = 0, end = 0, channels = 0;
  const float* x = nullptr;
  const float* shift = nullptr;
  const float* scale = nullptr;
  double epsilon = 0;
  // Of each row.
  float* mean = nullptr;
  float* rstd = nullptr;
  float* out = nullptr;           // float32, or
  std::uint16_t* half = nullptr;  // bfloat16, rounded to nearest even
};

struct NormRowsBackward {
  std::int64_t begin = 0, end = 0, channels = 0;
  const float* x = nullptr;
  const float* scale = nullptr;
  const float* mean = nullptr;
  const float* rstd = nullptr;
  const float* grad = nullptr;          // float32, or
  const std::uint16_t* half = nullptr;  // bfloat16
  const float* carried = nullptr;       // added to the gradient of x; may be null
  float* x_grad = nullptr;
  // Sums over the rows, added to what is there.
  float* shift_grad = nullptr;
  float* scale_grad = nullptr;
};

}  // namespace mdgen::kernels::cpu

MDGEN_IN_EVERY_SET(void norm_rows(const NormRows& rows);
                   void norm_rows_backward(const NormRowsBackward& rows);)
