#include "core/protein/names.h"

#include <gtest/gtest.h>

#include "core/protein/residue_constants.h"

namespace mdgen::protein {
namespace {

TEST(Names, EveryNameOfHistidineAndCysteine) {
  for (const char* name : {"HIS", "HSD", "HSE", "HSP", "HSH", "HID", "HIE", "HIP", "HIH"})
    EXPECT_EQ(residue_type_by_alias(name), residue_type('H')) << name;
  EXPECT_EQ(residue_type_by_alias("CYX"), residue_type('C'));
  for (const char* name : {"ASH", "GLH", "YPL", "LRT", "ACE", "MSE", "UNK", "HOH", ""})
    EXPECT_EQ(residue_type_by_alias(name), -1) << name;
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
}

TEST(Names, Hydrogens) {
  for (const char* name : {"H", "HA", "1HB", "HT3", "2HG1", "D", "DA"})
    EXPECT_TRUE(is_hydrogen(name)) << name;
  for (const char* name : {"N", "CA", "C", "OXT", "NH1", "CH2", "", "12"})
    EXPECT_FALSE(is_hydrogen(name)) << name;
}

}  // namespace
}  // namespace mdgen::protein
