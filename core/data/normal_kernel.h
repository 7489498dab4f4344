// Standard normals from Philox counters, many at a time. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/philox.h"

namespace mdgen::data {

inline constexpr std::size_t kNormalsPerCounter = 4;

// The counters that differ from `first` in their last word only: out[4 i … 4 i + 3] are those of
// last_words[i], from words 0 and 1, then 2 and 3, by Box and Muller:
//
//   u = word * 2^-32 + 2^-33 in (0, 1], a = 2 pi (word >> 8) 2^-24: in float32
//   sqrt(-2 ln u) cos a, sqrt(-2 ln u) sin a: ln, cos and sin in float64 (relative error below 1e-10), each
//   rounded to float32
//
// Nothing but IEEE additions, multiplications, divisions and square roots in a fixed order, so every CPU
// gives the same bits, with or without its wide instructions, which are used where they are. `out` has 4 *
// last_words.size() values.
void philox_normals(PhiloxKey key, PhiloxCounter first, std::span<const std::uint32_t> last_words,
                    float* out);

// Which instructions philox_normals uses here: "avx512", "avx2" or "portable".
const char* normal_kernel_name();
// The same without wide instructions: for tests.
void philox_normals_portable(PhiloxKey key, PhiloxCounter first, std::span<const std::uint32_t> last_words,
                             float* out);

}  // namespace mdgen::data
