// Which atoms of a topology go where in the atom14 array. A pure function.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/format/trajectory.h"
#include "core/prep/residues.h"

namespace mdgen::prep {

struct SelectedAtom {
  std::string name;                 // the standard one
  std::size_t index = 0;            // in the topology
  std::size_t residue = 0;          // from 0
  std::optional<std::size_t> slot;  // residue * 14 + place in atom14; none for OXT, which only aligns
};

struct Selection {
  std::size_t topology_atoms = 0;
  std::string sequence;               // one letter a residue
  std::vector<std::string> residues;  // "LYS 5", as the file names them
  std::vector<SelectedAtom> atoms;    // the heavy ones, in the topology's order
  // In the topology's coordinates, from the C of the residue before to N, in Å; nothing for the first residue
  // and for topologies without coordinates.
  std::vector<std::optional<double>> link_lengths;
  std::vector<std::string> notes;  // what was renamed and left out, and gaps, for the report
};

// Other programs' names are understood (core/protein/names.h). Throws Error(kInvalidArgument) naming `file`
// and what is wrong, with residue and atom: what pick_residues refuses, and a heavy atom that is missing,
// twice there, or not the residue's (in a residue that `rules` map to another: left out with a note).
Selection select_atoms(const format::Topology& topology, const std::filesystem::path& file,
                       const SelectionRules& rules = {});

// Throws Error(kInvalidArgument) when the residues are not those of `seqres`, naming the first that differs.
void check_sequence(const Selection& selection, const std::string& seqres, const std::filesystem::path& file);

}  // namespace mdgen::prep
