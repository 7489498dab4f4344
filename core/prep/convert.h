// One trajectory to one atom14 array, frame by frame: memory does not grow with the number of frames.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>

#include "core/format/npy_writer.h"
#include "core/format/trajectory.h"
#include "core/prep/selection.h"

namespace mdgen::prep {

struct ConvertOptions {
  std::size_t stride = 1;  // every so many frames, from frame 0
  bool half = true;        // float16, else float32
  bool unwrap = false;     // mend broken periodic images (core/prep/whole_molecule.h), else refuse them
  bool center = true;      // subtract frame 0's heavy-atom centroid from every frame
};

struct Converted {
  format::NpyWriter writer;     // finished, not yet published
  std::size_t frames_read = 0;  // in the trajectory, those that the stride leaves out included
  std::size_t frames = 0;       // in the array
  std::size_t mended = 0;       // of them, frames with broken periodic images
};

// Called after each frame with the number of frames that are behind, skipped ones included, and of all
// frames. What it throws ends the conversion.
using OnFrame = std::function<void(std::size_t behind, std::size_t all)>;

// (ceil(frames / stride), residues, 14, 3) in Å, each frame superposed on frame 0 over all heavy atoms,
// absent atoms 0. Memory: one frame, 1 MiB of the array and 8 bytes for each frame of the file; DCD and TRR
// files are mapped besides. Throws Error naming the trajectory, frame and residue: another number of atoms
// than the topology, a coordinate that is not finite or that the dtype cannot hold, a molecule in pieces.
Converted convert(const Selection& selection, const std::filesystem::path& trajectory,
                  const std::filesystem::path& output, const ConvertOptions& options,
                  const OnFrame& on_frame = {});

}  // namespace mdgen::prep
