// The kernel of core/kernels/modulated_norm.h on rows [begin, end) of one sample, whose gate, shift and scale
// (C floats each) are the same for all its rows. Every sum runs in an order of its own that depends on C and
// the rows alone.
#pragma once

#include <cstdint>

#include "core/kernels/cpu/dispatch.h"

namespace mdgen::kernels::cpu {

// Row r of a sample lies at (r / inner) * outer_stride + (r % inner) * inner_stride, its channels side by
// side; as float32 or as bfloat16, or nowhere.
template <class Float, class Half>
struct RowsAt {
  Float* f32 = nullptr;
  Half* bf16 = nullptr;
  std::int64_t outer_stride = 0, inner_stride = 0;
};
using InRows = RowsAt<const float, const std::uint16_t>;
using OutRows = RowsAt<float, std::uint16_t>;

struct NormRows {
  std::int64_t begin = 0, end = 0, inner = 1, channels = 0;  // channels: a multiple of 16
  float epsilon = 0;
  InRows x, f;
  const float* gate = nullptr;
  const float* shift = nullptr;
  const float* scale = nullptr;
  OutRows y;              // x + gate * f, where there is f
  OutRows n;              // the modulated norm of it; may be nowhere
  float* mean = nullptr;  // by row
  float* rstd = nullptr;
};

struct NormRowsBackward {
  std::int64_t begin = 0, end = 0, inner = 1, channels = 0;
  InRows y;       // what was normalised
  InRows f;       // or nowhere
  InRows y_grad;  // or nowhere
  InRows n_grad;  // or nowhere
  const float* gate = nullptr;
  const float* scale = nullptr;
  const float* mean = nullptr;
  const float* rstd = nullptr;
  OutRows x_grad;
  OutRows f_grad;  // where there is f
  // C each, added to.
  float* gate_sum = nullptr;
  float* shift_sum = nullptr;
  float* scale_sum = nullptr;
};

}  // namespace mdgen::kernels::cpu

MDGEN_IN_EVERY_SET(void norm_rows(const NormRows& rows);
                   void norm_rows_backward(const NormRowsBackward& rows);)
