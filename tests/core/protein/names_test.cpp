#include "core/protein/names.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "core/protein/residue_constants.h"

namespace mdgen::protein {
namespace {

TEST(Names, ProtonationStatesAndTautomers) {
  const std::pair<char, std::vector<const char*>> names[] = {
      {'H', {"HIS", "HSD", "HSE", "HSP", "HSH", "HID", "HIE", "HIP", "HIH", "HISD", "HIS1"}},
      {'C', {"CYS", "CYX", "CYM", "CYS2", "CYSH"}},
      {'D', {"ASH", "ASPP"}},
      {'E', {"GLH", "GLUP"}},
      {'K', {"LYN", "LYP"}},
      {'M', {"MSE"}}};
  for (const auto& [letter, aliases] : names)
    for (const char* name : aliases) EXPECT_EQ(residue_type_by_alias(name), residue_type(letter)) << name;
  for (const char* name : {"YPL", "LRT", "ACE", "SEP", "HYP", "UNK", "HOH", "X", "CYS3", "HSP HSH", ""})
    EXPECT_EQ(residue_type_by_alias(name), -1) << name;
}

TEST(Names, AmbersTerminalResidues) {
  EXPECT_EQ(residue_type_by_alias("NALA"), residue_type('A'));
  EXPECT_EQ(residue_type_by_alias("CHIE"), residue_type('H'));
  EXPECT_EQ(residue_type_by_alias("XALA"), -1);
  EXPECT_EQ(residue_type_by_alias("NNAL"), -1);
}

TEST(Names, ModifiedResiduesAreNoneOfTheTwenty) {
  EXPECT_EQ(modified_from("SEP"), "SER");
  EXPECT_EQ(modified_from("HYP"), "PRO");
  EXPECT_EQ(modified_from("YPL"), "");
  EXPECT_EQ(modified_from("ALA"), "");
}

TEST(Names, Caps) {
  for (const char* name : {"ACE", "NME", "NH2", "FOR", "NMA"}) EXPECT_TRUE(is_cap(name)) << name;
  for (const char* name : {"ALA", "", "AC", "CE N"}) EXPECT_FALSE(is_cap(name)) << name;
  EXPECT_TRUE(is_first_cap_atom("CAY") && is_last_cap_atom("CAT"));
  EXPECT_FALSE(is_first_cap_atom("CAT") || is_last_cap_atom("N"));
}

TEST(Names, StandardNamesStay) {
  for (int type = 0; type < kResidueTypes; ++type) {
    EXPECT_EQ(residue_type_by_alias(residue_name(type)), type);
    for (const std::string_view atom : atom14_names(type)) EXPECT_EQ(standard_atom_name(type, atom), atom);
  }
}

TEST(Names, AtomAliasesAreTheResiduesOwn) {
  EXPECT_EQ(standard_atom_name(residue_type('I'), "CD"), "CD1");
  EXPECT_EQ(standard_atom_name(residue_type('K'), "CD"), "CD");
  EXPECT_EQ(standard_atom_name(residue_type('S'), "OG1"), "OG");
  EXPECT_EQ(standard_atom_name(residue_type('T'), "OG"), "OG1");
  EXPECT_EQ(standard_atom_name(residue_type('G'), "OT1"), "O");
  EXPECT_EQ(standard_atom_name(residue_type('G'), "OC2"), "OXT");
  EXPECT_EQ(standard_atom_name(residue_type('M'), "SE"), "SD");
}

TEST(Names, Hydrogens) {
  for (const char* name : {"H", "HA", "1HB", "HT3", "2HG1", "D", "DA"})
    EXPECT_TRUE(is_hydrogen(name)) << name;
  for (const char* name : {"N", "CA", "C", "OXT", "NH1", "CH2", "", "12"})
    EXPECT_FALSE(is_hydrogen(name)) << name;
}

}  // namespace
}  // namespace mdgen::protein
