// The chemistry: residue types, atom names, ideal geometry. No LibTorch.
// Source: AlphaFold's residue_constants (Jumper et al., Nature 596, 2021, supplement 1.2, tables 2-3);
// numbers are facts of that table and equal the reference's.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace mdgen::protein {

inline constexpr int kResidueTypes = 20;  // 20 is "unknown" (X)
inline constexpr int kAtom14 = 14;
inline constexpr int kAtom37 = 37;
inline constexpr int kTorsions = 7;  // pre-omega, phi, psi, chi1 … chi4

// "ARNDCQEGHILKMFPSTWYV": the position in this string is the residue type.
inline constexpr std::string_view kResidueLetters = "ARNDCQEGHILKMFPSTWYV";

// -1 for a letter that is none of the twenty.
int residue_type(char letter);
// By three-letter name ("ALA"); -1 when unknown.
int residue_type_by_name(std::string_view name);
std::string_view residue_name(int type);  // "ALA"; "UNK" for 20

// Atom names by position, "" where a residue has fewer (type 20: all "").
const std::array<std::string_view, kAtom14>& atom14_names(int type);
const std::array<std::string_view, kAtom37>& atom37_names();
// -1 when the residue has no such heavy atom.
int atom14_index(int type, std::string_view atom);

// Tables by residue type (21 rows, the last one for unknown), as the reference's restype_* tables.
const std::array<std::array<int, kAtom37>, 21>& atom37_to_atom14();
const std::array<std::array<int, kAtom14>, 21>& atom14_to_atom37();
const std::array<std::array<float, kAtom14>, 21>& atom14_mask();
const std::array<std::array<float, kAtom37>, 21>& atom37_mask();
const std::array<std::array<int, kAtom14>, 21>& atom14_rigid_group();
const std::array<std::array<std::array<float, 3>, kAtom14>, 21>& atom14_rigid_group_positions();  // Å
// 4x4 row-major: the default frame of each of the 8 rigid groups.
const std::array<std::array<std::array<float, 16>, 8>, 21>& rigid_group_default_frame();
// Four atom37 positions of each chi angle, and whether the residue has it.
const std::array<std::array<std::array<int, 4>, 4>, 21>& chi_atom_indices();
const std::array<std::array<float, 4>, 21>& chi_mask();

}  // namespace mdgen::protein
