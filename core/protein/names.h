// Other programs' names of the twenty residues and their heavy atoms. No LibTorch.
// Source: the PDB name tables that OpenMM and mdtraj share (pdbNames.xml); the reference reads through
// mdtraj.
#pragma once

#include <string_view>

namespace mdgen::protein {

// The residue type by any of its names ("HSD", "HIE" and "HIS" are one); -1 when none of the twenty has it.
int residue_type_by_alias(std::string_view name);

// The atom's standard name in a residue of this type: "OT1" -> "O", ILE "CD" -> "CD1"; others as they are.
std::string_view standard_atom_name(int residue_type, std::string_view name);

// Hydrogen and deuterium by name: "H", "HB2", "1HB", "D".
bool is_hydrogen(std::string_view name);

}  // namespace mdgen::protein
