#include "core/prep/whole_molecule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace mdgen::prep {
namespace {

using format::UnitCell;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Atoms = std::vector<Point>;

constexpr UnitCell kBox = {{{30, 0, 0}, {0, 30, 0}, {0, 0, 30}}};
constexpr UnitCell kSkewed = {{{30, 0, 0}, {10, 28, 0}, {-10, 9, 25}}};

class WholeMoleculeTest : public ::testing::Test {
 protected:
  // Glycines along x; `gap` Å more between the residues 2 and 3.
  void build(double gap, bool topology_has_coordinates = true) {
    constexpr std::size_t kResidues = 4;
    selection_ = {};
    atoms_.clear();
    selection_.link_lengths.assign(kResidues, std::nullopt);
    for (std::size_t i = 0; i < kResidues; ++i) {
      const double x = 3.8 * static_cast<double>(i) + (i >= 2 ? gap : 0);
      selection_.sequence += 'G';
      selection_.residues.push_back("GLY " + std::to_string(i + 1));
      const char* names[] = {"N", "CA", "C", "O"};
      for (std::size_t j = 0; j < 4; ++j) selection_.atoms.push_back({names[j], 4 * i + j, i, 14 * i + j});
      atoms_.insert(atoms_.end(), {{x, 0, 0}, {x + 1.2, 0.8, 0}, {x + 2.4, 0, 0}, {x + 2.4, -1.2, 0}});
      if (i > 0 && topology_has_coordinates) selection_.link_lengths[i] = 1.4 + (i == 2 ? gap : 0);
    }
  }
  // Atoms from `first` on in another image.
  Atoms shifted(std::size_t first, const UnitCell& cell, int a, int b, int c) const {
    Atoms moved = atoms_;
    for (std::size_t i = first; i < moved.size(); ++i)
      for (std::size_t axis = 0; axis < 3; ++axis)
        moved[i][axis] += a * cell[0][axis] + b * cell[1][axis] + c * cell[2][axis];
    return moved;
  }
  std::string refusal(const Atoms& atoms, const std::optional<UnitCell>& cell,
                      BrokenImages broken = BrokenImages::kRefuse) {
    try {
      WholeMolecule molecule(selection_, broken);
      Atoms first = atoms_;
      molecule.mend(first, [&] { return cell; });
      Atoms moved = atoms;
      molecule.mend(moved, [&] { return cell; });
      EXPECT_EQ(moved, atoms) << "what is accepted stays as it is";
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  void expect_mended(const Atoms& broken, const UnitCell& cell) {
    WholeMolecule molecule(selection_, BrokenImages::kMend);
    Atoms atoms = atoms_;
    EXPECT_FALSE(molecule.mend(atoms, [&] { return std::optional(cell); }));
    EXPECT_EQ(atoms, atoms_) << "a whole molecule stays as it is, to the bit";
    atoms = broken;
    EXPECT_TRUE(molecule.mend(atoms, [&] { return std::optional(cell); }));
    for (std::size_t i = 0; i < atoms.size(); ++i)
      for (std::size_t axis = 0; axis < 3; ++axis)
        EXPECT_NEAR(atoms[i][axis], atoms_[i][axis], 1e-9) << i << " " << axis;
  }
  Selection selection_;
  Atoms atoms_;
};

TEST_F(WholeMoleculeTest, JumpsWithinAndBetweenResiduesAreNamed) {
  build(0);
  EXPECT_THAT(refusal(shifted(8, kBox, 1, 0, 0), kBox),
              AllOf(HasSubstr("residues GLY 2 and GLY 3: C-N is 31.4 Å long, 1.4 Å in another image"),
                    HasSubstr("--unwrap")));
  EXPECT_THAT(refusal(shifted(7, kBox, 0, 1, 0), kBox),
              HasSubstr("residue GLY 2: the bond C-O is 28.8 Å long"));
}

TEST_F(WholeMoleculeTest, MendedInCellsOfAnyShape) {
  build(0);
  for (const UnitCell& cell : {kBox, kSkewed})
    for (std::size_t first = 1; first < atoms_.size(); ++first)
      for (const auto& [a, b, c] : {std::array{1, 0, 0}, {0, -1, 0}, {2, 1, -1}, {0, 0, 5}})
        expect_mended(shifted(first, cell, a, b, c), cell);
}

TEST_F(WholeMoleculeTest, WithoutACellAJumpIsRefusedEvenToBeMended) {
  build(0);
  for (const BrokenImages broken : {BrokenImages::kRefuse, BrokenImages::kMend}) {
    EXPECT_THAT(refusal(shifted(8, kBox, 1, 0, 0), std::nullopt, broken),
                HasSubstr("C-N is 31.4 Å long, and the frame has no unit cell"));
    constexpr UnitCell kNone = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    EXPECT_THAT(refusal(shifted(8, kBox, 1, 0, 0), kNone, broken), HasSubstr("no unit cell"));
  }
}

TEST_F(WholeMoleculeTest, ABondThatNoImageExplainsIsDamage) {
  build(0);
  Atoms torn = atoms_;
  torn[7][1] -= 5;
  EXPECT_THAT(refusal(torn, kBox, BrokenImages::kMend), HasSubstr("C-O is 6.2 Å long, in no periodic image"));
}

TEST_F(WholeMoleculeTest, GapsInTheChainAreNoBrokenImages) {
  for (const double gap : {2.0, 10.0, 16.0, 25.0, 40.0}) {  // longer than the cell, too
    build(gap);
    EXPECT_EQ(refusal(atoms_, kBox), "accepted") << gap;
    EXPECT_EQ(refusal(atoms_, std::nullopt), "accepted") << gap;
    Atoms wider = atoms_;  // parts of a molecule move
    for (std::size_t i = 8; i < wider.size(); ++i) wider[i][0] += 6;
    EXPECT_EQ(refusal(wider, kBox), "accepted") << gap;
  }
}

TEST_F(WholeMoleculeTest, AJumpOverAGapIsSeenByItsLength) {
  build(10);
  EXPECT_THAT(refusal(shifted(8, kBox, 1, 0, 0), kBox),
              HasSubstr("C-N is 41.4 Å long, 11.4 Å in another image"));
  expect_mended(shifted(8, kBox, 1, 0, 0), kBox);
  expect_mended(shifted(8, kSkewed, -1, 0, 1), kSkewed);
}

TEST_F(WholeMoleculeTest, WithoutTopologyCoordinatesFrameZeroTellsBondsFromGaps) {
  build(10, false);
  EXPECT_EQ(refusal(atoms_, kBox), "accepted");
  EXPECT_THAT(refusal(shifted(8, kBox, 1, 0, 0), kBox), HasSubstr("11.4 Å in another image"));
  EXPECT_THAT(refusal(shifted(4, kBox, 1, 0, 0), std::nullopt), HasSubstr("no unit cell"));
}

}  // namespace
}  // namespace mdgen::prep
