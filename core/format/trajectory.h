// Molecular-dynamics trajectories and topologies through chemfiles: XTC, DCD, TRR, PDB, GRO, PSF … (the
// format is told by the file's extension). No LibTorch. Frames are counted from 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/format/unit_cell.h"

namespace mdgen::format {

struct TopologyResidue {
  std::string name;         // as in the file
  std::int64_t number = 0;  // as in the file
  std::string chain;        // chain and segment, "" where the format has neither
  std::vector<std::size_t> atoms;
};

struct Topology {
  std::vector<std::string> atom_names;
  std::vector<TopologyResidue> residues;  // by their first atom
  std::optional<UnitCell> cell;           // of the file's first frame
  std::vector<std::array<double, 3>>
      positions;  // Å, of the file's first frame; empty where it has none (PSF)
};

// Throws Error naming the file: absent, unreadable, an atom without residue, a residue whose atoms do not lie
// side by side. Thread-safe.
Topology read_topology(const std::filesystem::path& file);

// One trajectory, frame by frame. Frames that are not asked for are not decoded. XTC is read by
// core/format/xtc_reader.h (half of chemfiles' time goes into a topology of nameless atoms that it builds for
// each frame), everything else by chemfiles. One thread at a time for each object; different objects are
// independent.
class TrajectoryReader {
 public:
  // Throws Error naming the file: absent, unreadable, no frame, truncated (naming the frame).
  explicit TrajectoryReader(const std::filesystem::path& file);
  ~TrajectoryReader();
  TrajectoryReader(TrajectoryReader&&) noexcept;
  TrajectoryReader& operator=(TrajectoryReader&&) noexcept;

  std::size_t frames() const;

  // Positions in Å of all atoms of frame `index`, valid until the next call. Reading in order is fastest.
  // Throws Error naming file and frame.
  std::span<const std::array<double, 3>> positions(std::size_t index);

  // The box of the frame that was read last; nothing when the file has none, or one without volume.
  std::optional<UnitCell> cell() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::format
