// Products of small matrices that lie in the caches, for the sources of core/kernels/cpu alone.
#pragma once

#include "core/kernels/cpu/vector.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {

// How many vectors of a row are summed at a time, so that the sums stay in registers.
#if defined(__AVX512F__)
constexpr int kTileRows = 8;
constexpr int kTileVectors = 3;
#elif defined(__AVX2__)
constexpr int kTileRows = 6;
constexpr int kTileVectors = 1;
#else
constexpr int kTileRows = 2;
constexpr int kTileVectors = 1;
#endif

// The left factor: element (m, k) at from[m * row + k * column].
struct Factor {
  const float* from;
  std::int64_t row, column;
};

template <int kRows, int kVectors>
static inline void tile(Factor a, const float* b, std::int64_t b_stride, float* c, std::int64_t c_stride,
                        std::int64_t depth, bool add) {
  Floats sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[m][v] = add ? load(c + m * c_stride + v * kLanes) : Floats{};
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Floats right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) right[v] = load(b + k * b_stride + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const float left = a.from[m * a.row + k * a.column];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[m][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(c + m * c_stride + v * kLanes, sums[m][v]);
  }
}

template <int kVectors>
static inline void columns(std::int64_t rows, Factor a, const float* b, std::int64_t b_stride, float* c,
                           std::int64_t c_stride, std::int64_t depth, bool add) {
  std::int64_t m = 0;
  const auto at = [&](std::int64_t first) { return Factor{a.from + first * a.row, a.row, a.column}; };
  for (; m + kTileRows <= rows; m += kTileRows)
    tile<kTileRows, kVectors>(at(m), b, b_stride, c + m * c_stride, c_stride, depth, add);
  for (; m + 2 <= rows; m += 2) tile<2, kVectors>(at(m), b, b_stride, c + m * c_stride, c_stride, depth, add);
  if (m < rows) tile<1, kVectors>(at(m), b, b_stride, c + m * c_stride, c_stride, depth, add);
}

// c (rows, 16 * vectors) = a (rows, depth) b (depth, 16 * vectors), added to c where `add`. Each element is
// summed in the order of depth.
static inline void product(std::int64_t rows, std::int64_t vectors, std::int64_t depth, Factor a,
                           const float* b, std::int64_t b_stride, float* c, std::int64_t c_stride, bool add) {
  while (vectors > 0) {
    const std::int64_t some = vectors == kTileVectors + 1 && vectors > 3 ? 2 : vectors;
    const std::int64_t now = some < kTileVectors ? some : kTileVectors;
    if (now == 3) {
      columns<3>(rows, a, b, b_stride, c, c_stride, depth, add);
    } else if (now == 2) {
      columns<2>(rows, a, b, b_stride, c, c_stride, depth, add);
    } else {
      columns<1>(rows, a, b, b_stride, c, c_stride, depth, add);
    }
    b += now * kLanes;
    c += now * kLanes;
    vectors -= now;
  }
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
