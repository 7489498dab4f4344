// The compressed coordinates of one XTC frame. Source of the format: GROMACS's xdrfile library
// (xdr3dfcoord): integers in units of 1/precision nm; each group of atoms has its first one in a fixed number
// of bits and up to eight more as differences from it, in a number of bits that adapts. Internal to
// core/format. No LibTorch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mdgen::format {

struct XtcBlock {
  float precision = 0;
  std::array<std::int32_t, 3> least{};  // of the coordinates
  std::array<std::int32_t, 3> greatest{};
  std::int32_t small_index = 0;  // how many bits a difference has at first
  // The bits, followed by kXtcPadding bytes that may be read but do not count.
  std::span<const std::byte> padded_bits;
};

inline constexpr std::size_t kXtcPadding = 16;

// Fills `positions` in Å. False when the bits are not a frame of so many atoms.
bool decode_xtc_block(const XtcBlock& block, std::span<std::array<double, 3>> positions);

}  // namespace mdgen::format
