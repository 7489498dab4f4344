// Sixteen floats, in as many registers as the set that is compiled needs: one order of sums for all sets. For
// the sources of core/kernels/cpu alone: everything lies in the set's own namespace.
#pragma once

#include <cstdint>

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {

constexpr std::int64_t kLanes = 16;
using Floats = float __attribute__((vector_size(64)));
using Words = std::uint32_t __attribute__((vector_size(64)));
using Halves = std::uint16_t __attribute__((vector_size(32)));

static inline Floats load(const float* from) {
  Floats v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

static inline void store(float* to, Floats v) { __builtin_memcpy(to, &v, sizeof v); }

static inline Floats load_bf16(const std::uint16_t* from) {
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof halves);
  return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

// To nearest even; a NaN stays one.
static inline void store_bf16(std::uint16_t* to, Floats v) {
  const Words bits = (Words)v;
  const Words rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const Words is_nan = (Words)(v != v);
  const Halves halves = __builtin_convertvector((is_nan & 0x7fc0U) | (~is_nan & rounded), Halves);
  __builtin_memcpy(to, &halves, sizeof halves);
}

static inline float sum(Floats v) {
  float lanes[kLanes];
  __builtin_memcpy(lanes, &v, sizeof v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
