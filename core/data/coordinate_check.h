// Whether coordinates can be used, examined as they are stored. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mdgen::data {

enum class CoordinateFault {
  kNotFinite,   // a coordinate is infinite or no number
  kNoBackbone,  // N, CA or C is absent: all zeros, and not for being at the origin
};

struct RowFault {
  std::int64_t residue = 0;  // in the row
  CoordinateFault fault = CoordinateFault::kNotFinite;
};

// The first residue of one frame that cannot be used. `row`: (residues, 14, 3) of float16 (2 bytes) or
// float32.
std::optional<RowFault> row_fault(std::span<const std::byte> row, std::size_t item_size);

}  // namespace mdgen::data
