// Coordinates from one replica's .npy file. No LibTorch.
#pragma once

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

// (frames, residues, 14, 3) in Å, C order. Reads with pread, so a file that shrinks meanwhile is an error and
// not a bus error. Throws Error naming the file:
//   as NpyFile        it cannot be opened
//   kDataLoss         it is not what the manifest says (check_unchanged() in array_check.h); reading fails; a
//                     coordinate is not finite; a residue has no N, CA or C (absent atoms are zeros). Names
//                     frame and residue, counted from 0 and from 1.
std::vector<float> read_block(const std::string& file, const v1::Replica& replica,
                              std::int32_t residues_in_file, const Block& block);

}  // namespace mdgen::data
