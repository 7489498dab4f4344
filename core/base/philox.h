// The counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC'11). A draw is a pure function of (key, counter): no state, so any order, thread or device gives the
// same numbers.
#pragma once

#include <array>
#include <cstdint>

namespace mdgen {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

// Four random words for a counter under a key.
PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key);

inline PhiloxKey philox_key(std::uint64_t seed) {
  return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
}

// Uniform in [0, 1) with 24 bits: exact in float32.
inline float uniform_float(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1.0p-24F; }

// Uniform in [0, 1) with 53 bits.
inline double uniform_double(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((static_cast<std::uint64_t>(high) << 32) | low) >> 11) * 0x1.0p-53;
}

// Uniform integer in [0, n), n > 0, from 64 random bits by 128-bit multiplication (bias below n / 2^64).
inline std::uint64_t uniform_below(std::uint32_t high, std::uint32_t low, std::uint64_t n) {
  const std::uint64_t bits = (static_cast<std::uint64_t>(high) << 32) | low;
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits) * n) >> 64);
}

}  // namespace mdgen
