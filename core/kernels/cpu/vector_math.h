// exp and transposition of the vectors of vector.h; for the sources of core/kernels/cpu alone.
#pragma once

#include "core/kernels/cpu/vector.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {

// e^x for x <= 88, relative error below 3e-7; a NaN stays one; 0 for x < -80 (minus infinity too), where a
// float32 softmax loses the term anyhow and the slow denormals begin. Cody-Waite reduction by ln 2, then
// Cephes' polynomial for expf.
static inline Floats exp_flushed(Floats x) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Words kept = ~(Words)(x < -80.0F);
  x = (Floats)((Words)x & kept);
  const Floats shifted = x * 1.44269504F + kRound;
  const Floats n = shifted - kRound;
  const Floats r = x - n * 0.693359375F + n * 2.12194440e-4F;
  Floats p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const Words power = ((Words)shifted - 0x4b400000U + 127U) << 23;
  return (Floats)((Words)(p * (Floats)power) & kept);
}

static inline Floats greater(Floats a, Floats b) {
  const Words first = (Words)(a > b);
  return (Floats)(((Words)a & first) | ((Words)b & ~first));
}

template <int kDistance>
static inline void exchange(Floats* rows) {
  Words low, high;
  for (std::uint32_t i = 0; i < kLanes; ++i) {
    const bool upper = (i & kDistance) != 0;
    low[i] = upper ? kLanes + i - kDistance : i;
    high[i] = upper ? kLanes + i : i + kDistance;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & kDistance) != 0) continue;
    const Floats a = rows[i];
    const Floats b = rows[i + kDistance];
    rows[i] = __builtin_shuffle(a, b, low);
    rows[i + kDistance] = __builtin_shuffle(a, b, high);
  }
}

// rows[i][j] becomes rows[j][i].
static inline void transpose_square(Floats* rows) {
  exchange<8>(rows);
  exchange<4>(rows);
  exchange<2>(rows);
  exchange<1>(rows);
}

// A square of sixteen: to[j * to_stride + i] = from[i * from_stride + j].
static inline void transpose16(const float* from, std::int64_t from_stride, float* to,
                               std::int64_t to_stride) {
  Floats rows[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) rows[i] = load(from + i * from_stride);
  transpose_square(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) store(to + i * to_stride, rows[i]);
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
