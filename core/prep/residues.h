// Which residues of a topology are the protein chain that is converted, and which of the twenty each one is.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/format/trajectory.h"

namespace mdgen::prep {

struct SelectionRules {
  std::optional<std::string> chain;            // its identifier or segment; several without this are refused
  std::map<std::string, std::string> parents;  // residue name -> one of the twenty: --map
  std::set<std::string> drop;                  // names of residues to leave out
};

struct ChainResidue {
  std::size_t index = 0;  // in the topology
  int type = 0;
  bool mapped = false;  // by SelectionRules::parents: it may have further heavy atoms
};

struct Chain {
  std::vector<ChainResidue> residues;
  std::vector<std::string> notes;  // what was renamed and left out
};

// "LYS 5", as the file names it.
std::string label(const format::TopologyResidue& residue);

// Throws Error(kInvalidArgument) naming `file` and the culprits: several chains, or none of that name; a
// residue that is none of the twenty by any name or rule; a cap that closes no end; no residue left.
Chain pick_residues(const format::Topology& topology, const SelectionRules& rules,
                    const std::filesystem::path& file);

}  // namespace mdgen::prep
