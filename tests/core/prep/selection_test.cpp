#include "core/prep/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace mdgen::prep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Residue {
  std::string name;
  std::vector<std::string> atoms;
  std::string chain = "A";
};

format::Topology topology(const std::vector<Residue>& residues) {
  format::Topology made;
  for (const Residue& residue : residues) {
    format::TopologyResidue added{
        residue.name, static_cast<std::int64_t>(made.residues.size()) + 10, residue.chain, {}};
    for (const std::string& atom : residue.atoms) {
      added.atoms.push_back(made.atom_names.size());
      made.atom_names.push_back(atom);
    }
    made.residues.push_back(added);
  }
  return made;
}

const Residue kGlycine = {"GLY", {"N", "H", "CA", "1HA", "2HA", "C", "O"}};
const Residue kAlanine = {"ALA", {"N", "HN", "CA", "HA", "CB", "HB1", "C", "O"}};
const Residue kLast = {"GLY", {"N", "CA", "C", "OT1", "OT2"}};

std::string refusal(const std::vector<Residue>& residues, const SelectionRules& rules = {}) {
  try {
    select_atoms(topology(residues), "some.pdb", rules);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "accepted";
}

TEST(Selection, HeavyAtomsWithTheirPlaces) {
  const Selection found = select_atoms(topology({kGlycine, kAlanine, kLast}), "some.pdb");
  EXPECT_EQ(found.sequence, "GAG");
  EXPECT_EQ(found.topology_atoms, 20U);
  ASSERT_EQ(found.atoms.size(), 4U + 5U + 5U);
  const std::size_t indices[] = {0, 2, 5, 6, 7, 9, 11, 13, 14, 15, 16, 17, 18, 19};
  const std::size_t slots[] = {0, 1, 2, 3, 14, 15, 18, 16, 17, 28, 29, 30, 31};
  for (std::size_t i = 0; i < found.atoms.size(); ++i) {
    EXPECT_EQ(found.atoms[i].index, indices[i]);
    if (i < std::size(slots)) {
      EXPECT_EQ(found.atoms[i].slot, slots[i]);
    }
  }
  EXPECT_EQ(found.atoms.back().slot, std::nullopt) << "OXT aligns but has no place";
}

TEST(Selection, OtherProgramsNames) {
  const Selection found =
      select_atoms(topology({{"HSD", {"N", "CA", "CB", "CG", "ND1", "CD2", "CE1", "NE2", "C", "O"}},
                             {"CYX", {"N", "CA", "CB", "SG", "C", "O"}},
                             {"ILE", {"N", "CA", "CB", "CG1", "CG2", "CD", "C", "O"}}}),
                   "some.pdb");
  EXPECT_EQ(found.sequence, "HCI");
  EXPECT_EQ(found.residues[0], "HSD 10");
  EXPECT_THAT(found.notes, ElementsAre("renamed CYX 11 to CYS, HSD 10 to HIS"));
}

const Residue kAcetyl = {"ACE", {"CH3", "C", "O"}};
const Residue kAmide = {"NH2", {"N"}};
const Residue kSelenium = {"MSE", {"N", "CA", "CB", "CG", "SE", "CE", "C", "O"}};
// Its further atoms bear names that are aliases of O and OXT.
const Residue kPhosphoserine = {"SEP", {"N", "CA", "CB", "OG", "P", "O1", "O2", "C", "O"}};
const Residue kWater = {"HOH", {"O"}, "W"};

TEST(Selection, ModifiedResiduesOfTheSameAtomsAreRenamed) {
  const Selection found = select_atoms(topology({kGlycine, kSelenium, {"NALA", kAlanine.atoms}}), "some.pdb");
  EXPECT_EQ(found.sequence, "GMA");
  EXPECT_THAT(found.notes, ElementsAre("renamed MSE 11 to MET, NALA 12 to ALA"));
}

TEST(Selection, CapsAreLeftOutAtTheEndsAlone) {
  const Selection found = select_atoms(topology({kAcetyl, kGlycine, kAlanine, kAmide}), "some.pdb");
  EXPECT_EQ(found.sequence, "GA");
  EXPECT_EQ(found.topology_atoms, 3U + 7 + 8 + 1);
  EXPECT_EQ(found.atoms.front().index, 3U);
  EXPECT_EQ(found.atoms.front().slot, 0U);
  EXPECT_THAT(found.notes, ElementsAre("left out the caps: ACE 10, NH2 13"));
  EXPECT_THAT(refusal({kGlycine, kAmide, kAcetyl, kGlycine}),
              HasSubstr("the cap NH2 11 lies between residues"));
  EXPECT_THAT(refusal({kAcetyl, kAmide}), HasSubstr("no residue is left"));
}

TEST(Selection, CapsOfCharmmsPatchesAreLeftOutOfTheEndResidues) {
  Residue first = kGlycine;
  first.atoms.insert(first.atoms.begin(), {"CAY", "HY1", "CY", "OY"});
  Residue last = kAlanine;
  last.atoms.insert(last.atoms.end(), {"NT", "HNT", "CAT"});
  const Selection found = select_atoms(topology({first, last}), "some.pdb");
  EXPECT_EQ(found.atoms.size(), 4U + 5U);
  EXPECT_THAT(found.notes,
              ElementsAre("left out atoms of GLY 10: CAY CY OY", "left out atoms of ALA 11: NT CAT"));
  EXPECT_THAT(refusal({kGlycine, first}), HasSubstr("residue GLY 11: atom 'CAY'"));
}

TEST(Selection, MappedResiduesLoseTheirFurtherAtoms) {
  SelectionRules rules;
  rules.parents = {{"SEP", "SER"}};
  const Selection found = select_atoms(topology({kGlycine, kPhosphoserine, kLast}), "some.pdb", rules);
  EXPECT_EQ(found.sequence, "GSG");
  EXPECT_EQ(found.atoms.size(), 4U + 6U + 5U);
  EXPECT_THAT(found.notes, ElementsAre("renamed SEP 11 to SER", "left out atoms of SEP 11: P O1 O2"));
  rules.parents = {{"SEP", "LYS"}};
  EXPECT_THAT(refusal({kGlycine, kPhosphoserine}, rules), HasSubstr("residue SEP 11: atom CG is missing"));
}

TEST(Selection, ResiduesToDropAreLeftOut) {
  SelectionRules rules;
  rules.drop = {"HOH"};
  const Selection found = select_atoms(topology({kGlycine, kLast, kWater, kWater}), "some.pdb", rules);
  EXPECT_EQ(found.sequence, "GG");
  EXPECT_THAT(found.notes, ElementsAre("left out as --drop says: HOH 12 and 1 more HOH"));
}

TEST(Selection, AChainIsPickedByNameOrSegment) {
  Residue first = kGlycine, second = kAlanine;
  second.chain = "B/PROB";
  for (const char* name : {"B", "PROB", "B/PROB"}) {
    SelectionRules rules;
    rules.chain = name;
    const Selection found = select_atoms(topology({first, second, kWater}), "some.pdb", rules);
    EXPECT_EQ(found.sequence, "A") << name;
    EXPECT_EQ(found.atoms.front().index, 7U);
    EXPECT_THAT(found.notes, ElementsAre("chain '" + std::string(name) +
                                         "' of 'A' (1 residue, GLY 10), 'B/PROB' (1 residue, ALA 11), "
                                         "'W' (1 residue, HOH 12)"));
  }
  SelectionRules rules;
  rules.chain = "C";
  EXPECT_THAT(refusal({first, second}, rules), HasSubstr("--chain C: it has 'A' (1 residue,"));
}

TEST(Selection, UnknownResiduesAreAllNamed) {
  EXPECT_THAT(refusal({kGlycine, {"SEP", {"N"}}, {"YPL", {"N"}}, {"YPL", {"N"}}, {"LRT", {"N"}}, kGlycine}),
              AllOf(HasSubstr("some.pdb"), HasSubstr("SEP 11 (made from SER)"),
                    HasSubstr("YPL 12 and 1 more YPL"), HasSubstr("LRT 14"), HasSubstr("--map NAME=PARENT")));
}

TEST(Selection, FaultyAtomsAreNamedWithTheirResidue) {
  EXPECT_THAT(refusal({kGlycine, {"ALA", {"N", "CA", "C", "O"}}}),
              HasSubstr("residue ALA 11: atom CB is missing"));
  EXPECT_THAT(refusal({{"GLY", {"N", "CA", "CA", "C", "O"}}}),
              HasSubstr("residue GLY 10: atom CA is there 2 times"));
  EXPECT_THAT(refusal({{"GLY", {"N", "CA", "C", "O", "OT1"}}}), HasSubstr("atom O is there 2 times"));
  EXPECT_THAT(refusal({{"GLY", {"N", "CA", "C", "O", "OXT", "OT2"}}}),
              HasSubstr("atom OXT is there 2 times"));
  EXPECT_THAT(refusal({{"GLY", {"N", "CA", "C", "O", "CB"}}}),
              HasSubstr("atom 'CB' is none of its heavy atoms"));
}

TEST(Selection, SeveralChainsAreRefusedByName) {
  Residue other = kAlanine;
  other.chain = "B";
  EXPECT_THAT(refusal({kGlycine, other}),
              AllOf(HasSubstr("several chains"), HasSubstr("'A'"), HasSubstr("'B'")));
  EXPECT_THAT(refusal({kLast, kGlycine}), HasSubstr("residue GLY 10: atom OXT ends a chain here"));
}

TEST(Selection, ManyFaultsAreCounted) {
  EXPECT_THAT(refusal(std::vector<Residue>(15, {"GLY", {"N", "CA", "C"}})), HasSubstr("and 5 more"));
}

TEST(Selection, SequenceOfTheSplit) {
  const Selection found = select_atoms(topology({kGlycine, kAlanine, kLast}), "some.pdb");
  EXPECT_NO_THROW(check_sequence(found, "GAG", "some.pdb"));
  const auto refusal_of = [&](const std::string& seqres) -> std::string {
    try {
      check_sequence(found, seqres, "some.pdb");
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal_of("GAGG"), HasSubstr("3 residues, its sequence in the split has 4"));
  EXPECT_THAT(refusal_of("GVG"), AllOf(HasSubstr("residue ALA 11 (number 2 of 3) is 'A'"), HasSubstr("'V'")));
}

}  // namespace
}  // namespace mdgen::prep
