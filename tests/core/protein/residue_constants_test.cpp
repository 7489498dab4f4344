#include "core/protein/residue_constants.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/format/safetensors.h"

namespace mdgen::protein {
namespace {

const format::SafetensorsFile& golden() {
  static const format::SafetensorsFile file(std::filesystem::path(MDGEN_SOURCE_DIR) /
                                            "tests/golden/geometry.safetensors");
  return file;
}

// Every entry of a table of numbers, in C order, against the reference's.
template <typename Scalar, typename Stored, typename Table>
void expect_table(const std::string& name, const Table& table) {
  const std::span<const std::byte> bytes = golden().bytes("table." + name);
  ASSERT_EQ(sizeof(table) / sizeof(Scalar), bytes.size() / sizeof(Stored));
  const auto* ours = reinterpret_cast<const Scalar*>(&table);
  for (std::size_t i = 0; i < bytes.size() / sizeof(Stored); ++i) {
    Stored theirs;
    std::memcpy(&theirs, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    ASSERT_NEAR(static_cast<double>(ours[i]), static_cast<double>(theirs), 1e-6) << name << " at " << i;
  }
}

TEST(ResidueConstants, TablesEqualTheReference) {
  expect_table<float, float>("restype_rigid_group_default_frame", rigid_group_default_frame());
  expect_table<float, float>("restype_atom14_rigid_group_positions", atom14_rigid_group_positions());
  expect_table<int, std::int64_t>("restype_atom14_to_rigid_group", atom14_rigid_group());
  expect_table<float, float>("restype_atom14_mask", atom14_mask());
  expect_table<int, std::int64_t>("RESTYPE_ATOM37_TO_ATOM14", atom37_to_atom14());
  expect_table<int, std::int64_t>("RESTYPE_ATOM14_TO_ATOM37", atom14_to_atom37());
  expect_table<float, float>("RESTYPE_ATOM37_MASK", atom37_mask());
}

TEST(ResidueConstants, LettersAndNames) {
  EXPECT_EQ(residue_type('A'), 0);
  EXPECT_EQ(residue_type('V'), 19);
  EXPECT_EQ(residue_type('X'), -1);
  EXPECT_EQ(residue_type('a'), -1);
  EXPECT_EQ(residue_type_by_name("TRP"), residue_type('W'));
  EXPECT_EQ(residue_type_by_name("HSD"), -1);
  EXPECT_EQ(residue_name(residue_type('G')), "GLY");
  EXPECT_EQ(residue_name(kResidueTypes), "UNK");
}

TEST(ResidueConstants, AtomPositions) {
  EXPECT_EQ(atom14_index(residue_type('I'), "CD1"), 7);
  EXPECT_EQ(atom14_index(residue_type('W'), "CH2"), 13);
  EXPECT_EQ(atom14_index(residue_type('G'), "CB"), -1);
  EXPECT_EQ(atom14_index(residue_type('G'), ""), -1);
  EXPECT_EQ(atom14_index(kResidueTypes, "CA"), -1);
  EXPECT_EQ(atom37_names()[36], "OXT");
}

TEST(ResidueConstants, ChiAngles) {
  const std::array<int, 20> counts = {0, 4, 2, 2, 1, 3, 3, 0, 2, 2, 2, 4, 3, 2, 2, 1, 1, 2, 2, 1};
  for (std::size_t type = 0; type < 20; ++type)
    for (int chi = 0; chi < 4; ++chi)
      EXPECT_EQ(chi_mask()[type].at(static_cast<std::size_t>(chi)), chi < counts[type] ? 1 : 0) << type;
  const auto lysine = chi_atom_indices()[static_cast<std::size_t>(residue_type('K'))];
  const std::array<std::string_view, 4> last = {"CG", "CD", "CE", "NZ"};
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(atom37_names().at(static_cast<std::size_t>(lysine[3][i])), last[i]);
}

}  // namespace
}  // namespace mdgen::protein
