#include "core/data/coordinate_check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/format/npy.h"

namespace mdgen::data {
namespace {

constexpr std::size_t kValues = std::size_t{14} * 3;  // of a residue
constexpr std::size_t kBackboneAtoms = 3;             // N, CA, C come first
constexpr float kLongestBond = 3.0F;                  // Å; no bonded pair is farther apart

template <typename Bits>
Bits load(const std::byte* values, std::size_t index) {
  Bits bits;
  std::memcpy(&bits, values + index * sizeof(Bits), sizeof(Bits));
  return bits;
}

// With all exponent bits set, a number is infinite or none.
template <typename Bits, Bits kExponent>
bool all_finite(const std::byte* row, std::size_t values) {
  Bits special = 0;
  for (std::size_t i = 0; i < values; ++i)
    special = static_cast<Bits>(special | ((load<Bits>(row, i) & kExponent) == kExponent ? 1 : 0));
  return special == 0;
}

// Whether some N, CA or C is all zeros, of either sign.
template <typename Bits>
bool has_zero_atom(const std::byte* row, std::size_t residues) {
  constexpr Bits kMagnitude = static_cast<Bits>(~Bits{0}) >> 1;
  unsigned zero = 0;
  for (std::size_t i = 0; i < residues; ++i) {
    const std::byte* residue = row + i * kValues * sizeof(Bits);
    for (std::size_t atom = 0; atom < kBackboneAtoms; ++atom) {
      const auto any = static_cast<Bits>(load<Bits>(residue, 3 * atom) | load<Bits>(residue, 3 * atom + 1) |
                                         load<Bits>(residue, 3 * atom + 2));
      zero |= (any & kMagnitude) == 0 ? 1U : 0U;
    }
  }
  return zero != 0;
}

// An absent atom is all zeros. One that is really at the origin has its bonded neighbour near.
bool absent(const float* atom, const float* neighbour) {
  if (atom[0] != 0 || atom[1] != 0 || atom[2] != 0) return false;
  const float distance = std::hypot(neighbour[0], neighbour[1], neighbour[2]);
  return distance == 0 || distance > kLongestBond;
}

std::optional<CoordinateFault> residue_fault(const std::array<float, kValues>& atoms) {
  if (!std::all_of(atoms.begin(), atoms.end(), [](float x) { return std::isfinite(x); }))
    return CoordinateFault::kNotFinite;
  const float* n = atoms.data();
  const float* ca = n + 3;
  const float* c = n + 6;
  if (absent(n, ca) || absent(ca, n) || absent(c, ca)) return CoordinateFault::kNoBackbone;
  return std::nullopt;
}

// Residue by residue: for rows in which something has been seen.
std::optional<RowFault> first_fault(std::span<const std::byte> row, std::size_t item_size) {
  std::array<float, kValues> atoms{};
  for (std::size_t i = 0; i < row.size() / (kValues * item_size); ++i) {
    for (std::size_t k = 0; k < kValues; ++k)
      atoms[k] = item_size == sizeof(float)
                     ? load<float>(row.data(), i * kValues + k)
                     : format::half_to_float(load<std::uint16_t>(row.data(), i * kValues + k));
    if (const auto fault = residue_fault(atoms)) return RowFault{static_cast<std::int64_t>(i), *fault};
  }
  return std::nullopt;
}

}  // namespace

std::optional<RowFault> row_fault(std::span<const std::byte> row, std::size_t item_size) {
  const std::size_t values = row.size() / item_size;
  const bool plain = item_size == sizeof(float)
                         ? all_finite<std::uint32_t, 0x7F800000>(row.data(), values) &&
                               !has_zero_atom<std::uint32_t>(row.data(), values / kValues)
                         : all_finite<std::uint16_t, 0x7C00>(row.data(), values) &&
                               !has_zero_atom<std::uint16_t>(row.data(), values / kValues);
  if (plain) return std::nullopt;
  return first_fault(row, item_size);
}

}  // namespace mdgen::data
