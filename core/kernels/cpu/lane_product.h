// Products of small matrices whose elements are vectors, one matrix a lane; for the sources of
// core/kernels/cpu alone.
#pragma once

#include "core/kernels/cpu/vector.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {

// Element (row, column) at from[(row * by_row + column * by_column) * 16].
struct LaneMatrix {
  float* from;
  std::int64_t by_row, by_column;
  float* at(std::int64_t row, std::int64_t column) const {
    return from + (row * by_row + column * by_column) * kLanes;
  }
  LaneMatrix block(std::int64_t row, std::int64_t column) const {
    return {at(row, column), by_row, by_column};
  }
  LaneMatrix transposed() const { return {from, by_column, by_row}; }
};

// How many sums stay in registers.
#if defined(__AVX512F__)
constexpr int kLaneRows = 4;
constexpr int kLaneColumns = 4;
#elif defined(__AVX2__)
constexpr int kLaneRows = 2;
constexpr int kLaneColumns = 2;
#else
constexpr int kLaneRows = 1;
constexpr int kLaneColumns = 2;
#endif

template <int kRows, int kColumns>
static inline void lane_tile(std::int64_t depth, LaneMatrix a, LaneMatrix b, LaneMatrix c, bool add) {
  Floats sums[kRows][kColumns];
#pragma GCC unroll 4
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kColumns; ++n) sums[m][n] = add ? load(c.at(m, n)) : Floats{};
  }
  for (std::int64_t k = 0; k < depth; ++k) {
    Floats right[kColumns];
#pragma GCC unroll 4
    for (int n = 0; n < kColumns; ++n) right[n] = load(b.at(k, n));
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) {
      const Floats left = load(a.at(m, k));
#pragma GCC unroll 4
      for (int n = 0; n < kColumns; ++n) sums[m][n] += left * right[n];
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
    for (int n = 0; n < kColumns; ++n) store(c.at(m, n), sums[m][n]);
  }
}

template <int kRows>
static inline void lane_rows(std::int64_t columns, std::int64_t depth, LaneMatrix a, LaneMatrix b,
                             LaneMatrix c, bool add) {
  std::int64_t n = 0;
  for (; n + kLaneColumns <= columns; n += kLaneColumns)
    lane_tile<kRows, kLaneColumns>(depth, a, b.block(0, n), c.block(0, n), add);
  for (; n < columns; ++n) lane_tile<kRows, 1>(depth, a, b.block(0, n), c.block(0, n), add);
}

// c (rows, columns) = a (rows, depth) b (depth, columns), added to c where `add`. Each element is summed in
// the order of depth.
static inline void lane_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, LaneMatrix a,
                                LaneMatrix b, LaneMatrix c, bool add) {
  std::int64_t m = 0;
  for (; m + kLaneRows <= rows; m += kLaneRows)
    lane_rows<kLaneRows>(columns, depth, a.block(m, 0), b, c.block(m, 0), add);
  for (; m < rows; ++m) lane_rows<1>(columns, depth, a.block(m, 0), b, c.block(m, 0), add);
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
