// What chemfiles 0.10 passes over: an incomplete last frame of TRR and DCD files when the cut lies in its
// header, and a PDB's last part without atoms, which it counts as a frame and crashes on. Found by walking
// over the frames' lengths; the coordinates are not read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace mdgen::format {

// The number of frames; nothing for formats other than XTC, TRR, DCD and PDB. Throws Error(kDataLoss) naming
// the file and the frame that is cut short, and for a PDB without atoms. A DCD whose header counts other
// frames than the file holds is a warning: programs that were stopped leave such files behind.
std::optional<std::size_t> count_whole_frames(const std::filesystem::path& file);
// The same for a file whose name does not tell its format.
std::optional<std::size_t> count_whole_frames(const std::filesystem::path& file,
                                              const std::string& extension);

}  // namespace mdgen::format
