// Other programs' names of the twenty residues and their heavy atoms. No LibTorch.
// Sources: the PDB name tables that OpenMM and mdtraj share (pdbNames.xml; the reference reads through
// mdtraj); the residue names of the AMBER, CHARMM, GROMOS and OPLS force fields as GROMACS ships them; the
// PDB's chemical component dictionary for modified residues.
#pragma once

#include <string_view>

namespace mdgen::protein {

// The residue type by any name under which a residue has the very heavy atoms of one of the twenty: tautomers
// and protonation states ("HSD", "ASH", "CYM"), AMBER's terminal names ("NALA"), selenomethionine. -1 when
// there is none.
int residue_type_by_alias(std::string_view name);

// The three-letter name of the residue that a modified one was made from, for those whose heavy atoms are
// others than its ("SEP" -> "SER"); "" when unknown.
std::string_view modified_from(std::string_view name);

// Groups that close the ends of a chain and are no residue: ACE, NME, NH2 …
bool is_cap(std::string_view name);
// Atoms that CHARMM's patches for the same groups add to the first and to the last residue.
bool is_first_cap_atom(std::string_view name);
bool is_last_cap_atom(std::string_view name);

// The atom's standard name in a residue of this type: "OT1" -> "O", ILE "CD" -> "CD1"; others as they are.
std::string_view standard_atom_name(int residue_type, std::string_view name);

// Hydrogen and deuterium by name: "H", "HB2", "1HB", "D".
bool is_hydrogen(std::string_view name);

}  // namespace mdgen::protein
