// Coordinates from one replica's .npy file. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// A block of an array: every frame_stride-th frame from first_frame on, `frames` of them; `residues` from
// first_residue on.
struct Block {
  std::int64_t first_frame = 0;
  std::int64_t frames = 0;
  std::int32_t first_residue = 0;
  std::int32_t residues = 0;
  std::int64_t frame_stride = 1;
};

// Each frame's (residues, 14, 3) values in Å as they are stored (replica.dtype()), the next frame's
// `frame_bytes` after them in `target`. Reads with pread, so a file that shrinks meanwhile is an error and
// not a bus error, and only what is asked for. Throws Error naming the file, as format::NpyFile and
// check_unchanged() (array_check.h) do, and
//   kDataLoss         reading fails; a coordinate is not finite; a residue has no N, CA or C (absent atoms
//                     are zeros). Names frame and residue, counted from 0 and from 1.
void read_stored(const std::string& file, const v1::Replica& replica, std::int32_t residues_in_file,
                 const Block& block, std::byte* target, std::ptrdiff_t frame_bytes);

// The same as (frames, residues, 14, 3) in float32.
std::vector<float> read_block(const std::string& file, const v1::Replica& replica,
                              std::int32_t residues_in_file, const Block& block);

// Asks the system to have the block in memory soon; waits for nothing and reports nothing.
void read_ahead(const std::string& file, const v1::Replica& replica, std::int32_t residues_in_file,
                const Block& block) noexcept;

// Widens float16 values to float32.
void widen(const std::byte* halves, std::size_t count, float* out);

}  // namespace mdgen::data
