// One trajectory to one atom14 array, frame by frame: memory does not grow with the number of frames.
#pragma once

#include <cstddef>
#include <filesystem>

#include "core/format/npy_writer.h"
#include "core/format/trajectory.h"
#include "core/prep/selection.h"

namespace mdgen::prep {

struct ConvertOptions {
  std::size_t stride = 1;  // every so many frames, from frame 0
  bool half = true;        // float16, else float32
  bool center = true;      // subtract frame 0's heavy-atom centroid from every frame
};

struct Converted {
  format::NpyWriter writer;  // finished, not yet published
  std::size_t frames = 0;    // read
};

// (ceil(frames / stride), residues, 14, 3) in Å, each frame superposed on frame 0 over all heavy atoms,
// absent atoms 0. Throws Error naming the trajectory, frame and residue: another number of atoms than the
// topology, a coordinate that is not finite or that the dtype cannot hold.
Converted convert(const Selection& selection, const std::filesystem::path& trajectory,
                  const std::filesystem::path& output, const ConvertOptions& options);

}  // namespace mdgen::prep
