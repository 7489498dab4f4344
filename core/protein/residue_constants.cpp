#include "core/protein/residue_constants.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/protein/ideal_geometry.h"

namespace mdgen::protein {
namespace {

using Vector = std::array<double, 3>;
using Frame = std::array<float, 16>;

template <typename Row>
using PerType = std::array<Row, kResidueTypes + 1>;

int atom37_index(std::string_view atom) {
  const auto& names = atom37_names();
  return static_cast<int>(std::find(names.begin(), names.end(), atom) - names.begin());
}

Vector operator-(const Vector& a, const Vector& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector scaled(const Vector& a, double factor) { return {a[0] * factor, a[1] * factor, a[2] * factor}; }
Vector unit(const Vector& a) { return scaled(a, 1 / std::sqrt(dot(a, a))); }
Vector cross(const Vector& a, const Vector& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

constexpr Frame kIdentity = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

Frame make_frame(const Vector& x_axis, const Vector& in_xy_plane, const Vector& origin) {
  const Vector x = unit(x_axis);
  const Vector y = unit(in_xy_plane - scaled(x, dot(in_xy_plane, x)));
  const Vector z = cross(x, y);
  Frame frame = kIdentity;
  for (std::size_t row = 0; row < 3; ++row) {
    frame[4 * row] = static_cast<float>(x[row]);
    frame[4 * row + 1] = static_cast<float>(y[row]);
    frame[4 * row + 2] = static_cast<float>(z[row]);
    frame[4 * row + 3] = static_cast<float>(origin[row]);
  }
  return frame;
}

std::size_t chi_count(const IdealResidue& residue) {
  const auto length = static_cast<std::size_t>(std::find(residue.chain.begin(), residue.chain.end(), "") -
                                               residue.chain.begin());
  return length < 4 ? 0 : length - 3;
}

std::array<Frame, 8> default_frames(const IdealResidue& residue) {
  const auto at = [&](std::string_view name) {
    return std::find_if(residue.atoms.begin(), residue.atoms.end(),
                        [&](const IdealAtom& atom) { return atom.name == name; })
        ->position;
  };
  const Vector n = at("N");
  const Vector ca = at("CA");
  const Vector c = at("C");
  std::array<Frame, 8> frames{};
  frames[0] = kIdentity;
  frames[1] = kIdentity;
  frames[2] = make_frame(n - ca, {1, 0, 0}, n);
  frames[3] = make_frame(c - ca, ca - n, c);
  for (std::size_t chi = 0; chi < chi_count(residue); ++chi) {
    const Vector end = at(residue.chain[chi + 2]);
    // From chi2 on, the axis starts at the previous frame's origin and the previous atom lies on its -x axis.
    frames[4 + chi] =
        chi == 0 ? make_frame(end - at(residue.chain[1]), at(residue.chain[0]) - at(residue.chain[1]), end)
                 : make_frame(end, {-1, 0, 0}, end);
  }
  return frames;
}

// One row for each of the twenty by `make(residue)`, a row of zeros for "unknown".
template <typename Row, typename Make>
PerType<Row> tabulate(Make make) {
  PerType<Row> table{};
  for (std::size_t type = 0; type < kResidueTypes; ++type) table[type] = make(ideal_residues()[type]);
  return table;
}

// A row over atom14 by `make(atom)`, zero where the residue has fewer atoms.
template <typename Value, typename Make>
PerType<std::array<Value, kAtom14>> tabulate_atoms(Make make) {
  return tabulate<std::array<Value, kAtom14>>([&](const IdealResidue& residue) {
    std::array<Value, kAtom14> row{};
    for (std::size_t i = 0; i < kAtom14; ++i)
      if (!residue.atoms[i].name.empty()) row[i] = make(residue.atoms[i]);
    return row;
  });
}

}  // namespace

int residue_type(char letter) {
  const std::size_t at = kResidueLetters.find(letter);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

int residue_type_by_name(std::string_view name) {
  for (int type = 0; type < kResidueTypes; ++type)
    if (residue_name(type) == name) return type;
  return -1;
}

std::string_view residue_name(int type) {
  return type < kResidueTypes ? ideal_residues().at(static_cast<std::size_t>(type)).name : "UNK";
}

const std::array<std::string_view, kAtom37>& atom37_names() {
  static constexpr std::array<std::string_view, kAtom37> kNames = {
      "N",   "CA",  "C",   "CB",  "O",   "CG", "CG1", "CG2", "OG",  "OG1", "SG", "CD",  "CD1",
      "CD2", "ND1", "ND2", "OD1", "OD2", "SD", "CE",  "CE1", "CE2", "CE3", "NE", "NE1", "NE2",
      "OE1", "OE2", "CH2", "NH1", "NH2", "OH", "CZ",  "CZ2", "CZ3", "NZ",  "OXT"};
  return kNames;
}

const std::array<std::string_view, kAtom14>& atom14_names(int type) {
  static const auto table = tabulate_atoms<std::string_view>([](const IdealAtom& atom) { return atom.name; });
  return table.at(static_cast<std::size_t>(type));
}

int atom14_index(int type, std::string_view atom) {
  const auto& names = atom14_names(type);
  const auto found = std::find(names.begin(), names.end(), atom);
  return atom.empty() || found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

const PerType<std::array<int, kAtom37>>& atom37_to_atom14() {
  static const auto table = tabulate<std::array<int, kAtom37>>([](const IdealResidue& residue) {
    std::array<int, kAtom37> row{};
    for (std::size_t i = 0; i < kAtom14; ++i)
      if (!residue.atoms[i].name.empty())
        row.at(static_cast<std::size_t>(atom37_index(residue.atoms[i].name))) = static_cast<int>(i);
    return row;
  });
  return table;
}

const PerType<std::array<int, kAtom14>>& atom14_to_atom37() {
  static const auto table =
      tabulate_atoms<int>([](const IdealAtom& atom) { return atom37_index(atom.name); });
  return table;
}

const PerType<std::array<float, kAtom14>>& atom14_mask() {
  static const auto table = tabulate_atoms<float>([](const IdealAtom&) { return 1.0F; });
  return table;
}

const PerType<std::array<float, kAtom37>>& atom37_mask() {
  static const auto table = tabulate<std::array<float, kAtom37>>([](const IdealResidue& residue) {
    std::array<float, kAtom37> row{};
    for (const IdealAtom& atom : residue.atoms)
      if (!atom.name.empty()) row.at(static_cast<std::size_t>(atom37_index(atom.name))) = 1;
    return row;
  });
  return table;
}

const PerType<std::array<int, kAtom14>>& atom14_rigid_group() {
  static const auto table = tabulate_atoms<int>([](const IdealAtom& atom) { return atom.group; });
  return table;
}

const PerType<std::array<std::array<float, 3>, kAtom14>>& atom14_rigid_group_positions() {
  static const auto table = tabulate_atoms<std::array<float, 3>>([](const IdealAtom& atom) {
    const Vector& at = atom.position;
    return std::array<float, 3>{static_cast<float>(at[0]), static_cast<float>(at[1]),
                                static_cast<float>(at[2])};
  });
  return table;
}

const PerType<std::array<std::array<float, 16>, 8>>& rigid_group_default_frame() {
  static const auto table = tabulate<std::array<Frame, 8>>(default_frames);
  return table;
}

const PerType<std::array<std::array<int, 4>, 4>>& chi_atom_indices() {
  static const auto table = tabulate<std::array<std::array<int, 4>, 4>>([](const IdealResidue& residue) {
    std::array<std::array<int, 4>, 4> row{};
    for (std::size_t chi = 0; chi < chi_count(residue); ++chi)
      for (std::size_t i = 0; i < 4; ++i) row[chi][i] = atom37_index(residue.chain[chi + i]);
    return row;
  });
  return table;
}

const PerType<std::array<float, 4>>& chi_mask() {
  static const auto table = tabulate<std::array<float, 4>>([](const IdealResidue& residue) {
    std::array<float, 4> row{};
    std::fill_n(row.begin(), chi_count(residue), 1.0F);
    return row;
  });
  return table;
}

}  // namespace mdgen::protein
