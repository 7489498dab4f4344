// The backbone of a PDB file as core/format/pdb_writer.h writes it: one chain, every model with the same
// atoms. For other programs' files use core/format/trajectory.h.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace mdgen::format {

// N, CA and C of each residue.
using BackboneAtoms = std::array<std::array<double, 3>, 3>;

struct BackboneFrames {
  std::vector<std::string> residues;  // three-letter names
  std::vector<BackboneAtoms> atoms;   // (frames, residues), Å

  std::size_t frames() const { return residues.empty() ? 0 : atoms.size() / residues.size(); }
};

// Throws Error naming the file (and line or model): kNotFound, kUnavailable (cannot be read), kDataLoss (more
// than `most_bytes`, no atom, a number that is none, a model with other residues, a residue without N, CA or
// C).
BackboneFrames read_backbone(const std::filesystem::path& file, std::size_t most_bytes = 512UL << 20);

}  // namespace mdgen::format
