#include "core/prep/bonds.h"

#include <array>
#include <limits>

#include "core/protein/residue_constants.h"

namespace mdgen::prep {
namespace {

using protein::kAtom14;

constexpr std::size_t kN = 0;
constexpr std::size_t kC = 2;
constexpr std::size_t kFirstOfSideChain = 4;

// The parents' places in atom14, from CB on; by type, ARNDCQEGHILKMFPSTWYV.
constexpr std::array<std::array<int, 10>, protein::kResidueTypes> kSideChainParents = {{
    {1},                               // A
    {1, 4, 5, 6, 7, 8, 8},             // R: CB CG CD NE CZ NH1 NH2
    {1, 4, 5, 5},                      // N: CB CG OD1 ND2
    {1, 4, 5, 5},                      // D
    {1, 4},                            // C
    {1, 4, 5, 6, 6},                   // Q: CB CG CD OE1 NE2
    {1, 4, 5, 6, 6},                   // E
    {},                                // G
    {1, 4, 5, 5, 6, 7},                // H: CB CG ND1 CD2 CE1 NE2
    {1, 4, 4, 5},                      // I: CB CG1 CG2 CD1
    {1, 4, 5, 5},                      // L: CB CG CD1 CD2
    {1, 4, 5, 6, 7},                   // K
    {1, 4, 5, 6},                      // M
    {1, 4, 5, 5, 6, 7, 8},             // F: CB CG CD1 CD2 CE1 CE2 CZ
    {1, 4, 5},                         // P
    {1, 4},                            // S
    {1, 4, 4},                         // T: CB OG1 CG2
    {1, 4, 5, 5, 6, 7, 7, 9, 10, 11},  // W: CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2
    {1, 4, 5, 5, 6, 7, 8, 10},         // Y: CB CG CD1 CD2 CE1 CE2 CZ OH
    {1, 4, 4},                         // V
}};
constexpr std::array<std::size_t, kFirstOfSideChain> kBackboneParents = {kC, kN, 1,
                                                                         kC};  // N's: of the residue before

std::size_t parent_place(int type, std::size_t place) {
  if (place < kFirstOfSideChain) return kBackboneParents.at(place);
  return static_cast<std::size_t>(
      kSideChainParents.at(static_cast<std::size_t>(type)).at(place - kFirstOfSideChain));
}

}  // namespace

std::string_view parent_atom(int type, std::size_t place) {
  return place == kN ? std::string_view() : protein::atom14_names(type).at(parent_place(type, place));
}

std::vector<Bond> bond_tree(const Selection& selection) {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> by_slot(selection.sequence.size() * kAtom14, kNone);
  std::vector<std::size_t> terminal;
  for (std::size_t i = 0; i < selection.atoms.size(); ++i) {
    if (selection.atoms[i].slot)
      by_slot[*selection.atoms[i].slot] = i;
    else
      terminal.push_back(i);
  }
  // The order of atom14 has N before CA before C, and each atom of a side chain behind its parent.
  std::vector<Bond> tree;
  for (std::size_t residue = 0; residue < selection.sequence.size(); ++residue) {
    const int type = protein::residue_type(selection.sequence[residue]);
    for (std::size_t place = 0; place < kAtom14; ++place) {
      const std::size_t atom = by_slot[residue * kAtom14 + place];
      if (atom == kNone || (residue == 0 && place == kN)) continue;
      const std::size_t from = place == kN ? residue - 1 : residue;
      Bond bond{atom, by_slot[from * kAtom14 + parent_place(type, place)], std::nullopt, place == kN};
      if (bond.between_residues) bond.topology_length = selection.link_lengths[residue];
      tree.push_back(bond);
    }
  }
  for (const std::size_t atom : terminal)
    tree.push_back({atom, by_slot[selection.atoms[atom].residue * kAtom14 + kC], std::nullopt, false});
  return tree;
}

}  // namespace mdgen::prep
