#include "core/prep/bonds.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/protein/residue_constants.h"

namespace mdgen::prep {
namespace {

using Position = std::array<double, 3>;

Position placed(const std::array<float, 16>& frame, const Position& at) {
  Position moved{};
  for (std::size_t i = 0; i < 3; ++i) {
    moved[i] = frame[4 * i + 3];
    for (std::size_t j = 0; j < 3; ++j) moved[i] += frame[4 * i + j] * at[j];
  }
  return moved;
}

// The residue with all torsions at zero, in AlphaFold's ideal geometry.
Position ideal_position(int type, std::size_t place) {
  const auto row = static_cast<std::size_t>(type);
  auto group = static_cast<std::size_t>(protein::atom14_rigid_group()[row][place]);
  const auto& local = protein::atom14_rigid_group_positions()[row][place];
  Position at = {local[0], local[1], local[2]};
  constexpr std::size_t kChi1 = 4;
  for (; group > kChi1; --group) at = placed(protein::rigid_group_default_frame()[row][group], at);
  return group == 0 ? at : placed(protein::rigid_group_default_frame()[row][group], at);
}

TEST(Bonds, EachIsAsLongAsABondInTheIdealGeometry) {
  for (int type = 0; type < protein::kResidueTypes; ++type) {
    const auto& names = protein::atom14_names(type);
    EXPECT_EQ(parent_atom(type, 0), "");
    for (std::size_t place = 1; place < names.size() && !names[place].empty(); ++place) {
      const int parent = protein::atom14_index(type, parent_atom(type, place));
      ASSERT_GE(parent, 0) << protein::residue_name(type) << " " << names[place];
      const Position a = ideal_position(type, place);
      const Position b = ideal_position(type, static_cast<std::size_t>(parent));
      const double length = std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
      EXPECT_GT(length, 1.15) << protein::residue_name(type) << " " << names[place];
      EXPECT_LT(length, 1.9) << protein::residue_name(type) << " " << names[place];
    }
  }
}

TEST(Bonds, ParentsComeFirst) {
  Selection selection;
  selection.sequence = "WG";
  selection.link_lengths = {std::nullopt, 1.3};
  for (std::size_t i = 0; i < 14; ++i) selection.atoms.push_back({"", 13 - i, 0, 13 - i});  // in any order
  for (std::size_t i = 0; i < 4; ++i) selection.atoms.push_back({"", 14 + i, 1, 14 + i});
  selection.atoms.push_back({"OXT", 18, 1, std::nullopt});
  std::vector<bool> seen(selection.atoms.size());
  const std::vector<Bond> tree = bond_tree(selection);
  ASSERT_EQ(tree.size(), selection.atoms.size() - 1);
  seen[tree.front().parent] = true;
  std::size_t between = 0;
  for (const Bond& bond : tree) {
    EXPECT_TRUE(seen[bond.parent]) << bond.atom;
    EXPECT_FALSE(seen[bond.atom]) << bond.atom;
    seen[bond.atom] = true;
    between += bond.between_residues ? 1 : 0;
    EXPECT_EQ(bond.topology_length.has_value(), bond.between_residues);
  }
  EXPECT_EQ(between, 1U);
  EXPECT_EQ(tree.back().parent, 16U) << "OXT hangs on C";
}

}  // namespace
}  // namespace mdgen::prep
