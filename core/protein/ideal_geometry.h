// Where each heavy atom of a residue sits when bond lengths and angles are ideal.
// Source: AlphaFold's rigid_group_atom_positions (Jumper et al., Nature 596, 2021, supplement 1.8.4).
#pragma once

#include <array>
#include <string_view>

#include "core/protein/residue_constants.h"

namespace mdgen::protein {

struct IdealAtom {
  std::string_view name;
  int group = 0;                   // 0 backbone, 3 psi, 4 … 7 chi1 … chi4; 1 and 2 hold no heavy atom
  std::array<double, 3> position;  // Å, in the group's frame
};

struct IdealResidue {
  std::string_view name;                  // "ALA"
  std::array<IdealAtom, kAtom14> atoms;   // in atom14 order; name "" where there is none
  std::array<std::string_view, 7> chain;  // chi angle k turns chain[k+1]-chain[k+2] and spans chain[k … k+3]
};

// By residue type.
const std::array<IdealResidue, kResidueTypes>& ideal_residues();

}  // namespace mdgen::protein
