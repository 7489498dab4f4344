// GROMACS's XTC trajectories, frame by frame and in any order: the headers are walked over once, and only the
// frames that are asked for are decompressed. Source of the format: GROMACS's xdrfile library. No LibTorch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "core/format/input_file.h"
#include "core/format/unit_cell.h"

namespace mdgen::format {

// Where each frame of the file begins. Reads the headers alone. Throws Error(kDataLoss) naming file and
// frame: cut short, no XTC frame, another number of atoms than the first.
std::vector<std::uint64_t> xtc_frame_starts(const InputFile& file);

// Holds one frame and 8 bytes a frame of the file. One thread at a time.
class XtcReader {
 public:
  explicit XtcReader(const std::filesystem::path& file);

  std::size_t frames() const { return starts_.size(); }
  // Valid until the next call. Throws Error(kDataLoss) naming file and frame.
  std::span<const std::array<double, 3>> positions(std::size_t frame);
  // Of the frame that was read last; nothing when its box is empty.
  const std::optional<UnitCell>& cell() const { return cell_; }

 private:
  InputFile file_;
  std::vector<std::uint64_t> starts_;
  std::vector<std::byte> bytes_;
  std::vector<std::array<double, 3>> positions_;
  std::optional<UnitCell> cell_;
};

}  // namespace mdgen::format
