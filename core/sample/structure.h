// Sampled coordinates to the files that others read. No LibTorch.
#pragma once

#include <array>
#include <filesystem>
#include <vector>

#include "core/format/pdb_writer.h"
#include "core/protein/atom14_trajectory.h"

namespace mdgen::sample {

using Positions = std::vector<std::array<double, 3>>;

// The heavy atoms that a sequence has, in atom14's order: which ones follows from the residue types, not from
// the coordinates. One chain A, residues from 1.
class HeavyAtoms {
 public:
  explicit HeavyAtoms(std::span<const int> types);

  const std::vector<format::AtomRecord>& records() const { return records_; }
  Positions positions(const protein::Atom14Trajectory& trajectory, std::size_t frame) const;

 private:
  struct Place {
    std::size_t residue = 0;
    std::size_t atom = 0;  // in atom14
  };
  std::vector<format::AtomRecord> records_;
  std::vector<Place> places_;
};

// All frames as models of one PDB file, as they are.
void write_pdb(const std::filesystem::path& file, const protein::Atom14Trajectory& trajectory);

// All frames, superposed on the first over all heavy atoms, into `xtc`, frame i at i x `time_step` ps; the
// first one into `pdb`, which gets its name last.
void write_xtc_and_pdb(const std::filesystem::path& xtc, const std::filesystem::path& pdb,
                       const protein::Atom14Trajectory& trajectory, double time_step);

// (T, L, 14, 3) float32 in Å, as mdgen-prep writes them.
void write_atom14(const std::filesystem::path& file, const protein::Atom14Trajectory& trajectory);

}  // namespace mdgen::sample
