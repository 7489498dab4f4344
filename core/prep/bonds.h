// The bonds along which a chain hangs together. Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/prep/selection.h"

namespace mdgen::prep {

// No bond between heavy atoms of a protein is as long as this, however hot it is (C-S: 1.8 Å). Å.
inline constexpr double kLongestBond = 3;
// What is longer than this between C and the next N is no peptide bond (1.33 Å): across one missing residue
// the two can be as near as 2.8 Å. Å.
inline constexpr double kLongestPeptideBond = 2.2;

struct Bond {
  std::size_t atom = 0;  // in Selection::atoms, as `parent`
  std::size_t parent = 0;
  // For the bond from the residue before: how long it is in the topology's coordinates. A long one is a gap
  // in the chain: residues that are missing. Nothing where the topology has no coordinates.
  std::optional<double> topology_length;
  bool between_residues = false;
};

// A tree over all atoms of the selection: each atom but the first, its parent before it.
std::vector<Bond> bond_tree(const Selection& selection);

// The name of the atom that a heavy atom at this place of atom14 hangs on; "" for N, whose parent is the C of
// the residue before.
std::string_view parent_atom(int type, std::size_t place);

}  // namespace mdgen::prep
