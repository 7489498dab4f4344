#include "core/sample/quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"

namespace mdgen::sample {
namespace {

using protein::Atom14Trajectory;

constexpr std::size_t kFrame = 14 * 3;

// Frames of Cα on the x axis, `step` Å apart; the other atoms 1 Å above, at their own heights.
std::vector<float> chain(std::size_t frames, std::size_t residues, float step) {
  std::vector<float> values(frames * residues * kFrame);
  for (std::size_t i = 0; i < frames * residues; ++i) {
    for (std::size_t atom = 0; atom < 14; ++atom) {
      values[i * kFrame + atom * 3] = step * static_cast<float>(i % residues);
      values[i * kFrame + atom * 3 + 1] = atom == protein::kCalpha ? 0 : 1;
    }
  }
  return values;
}

TEST(CaDistanceValidity, CountsPairsWithinTheTolerance) {
  const std::vector<int> types(3, 7);
  std::vector<float> values = chain(2, 3, 3.8F);
  EXPECT_EQ(ca_distance_validity({values, types}), 1.0);
  values[protein::kCalpha * 3 + 1] = 3.0F;  // frame 0, residue 0: 4.84 Å from the next
  EXPECT_EQ(ca_distance_validity({values, types}), 0.75);
  EXPECT_EQ(unbroken_frames({values, types}), 0.5);
}

TEST(CaDistanceValidity, OneResidueHasNone) {
  const std::vector<int> types(1, 7);
  const std::vector<float> values = chain(2, 1, 3.8F);
  EXPECT_TRUE(std::isnan(ca_distance_validity({values, types})));
  EXPECT_EQ(unbroken_frames({values, types}), 1.0);
}

TEST(CaDistanceValidity, NotFiniteIsNotValid) {
  const std::vector<int> types(2, 7);
  std::vector<float> values = chain(1, 2, 3.8F);
  values[protein::kCalpha * 3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ca_distance_validity({values, types}), 0.0);
  EXPECT_EQ(unbroken_frames({values, types}), 0.0);
  EXPECT_TRUE(std::isnan(ca_rmsf({values, types})[1]));
}

TEST(Clashes, NeighboursAndBondedSulphursDoNotClash) {
  // Everything of glycine at one place: 16 pairs between residues 0 and 2 alone.
  const std::vector<int> glycines(3, 7);
  EXPECT_EQ(clashes_per_frame({std::vector<float>(3 * kFrame), glycines}), 16.0);
  EXPECT_EQ(clashes_per_frame({chain(2, 3, 3.8F), glycines}), 0.0);
  const std::vector<int> cysteines(3, 4);
  EXPECT_EQ(clashes_per_frame({std::vector<float>(3 * kFrame), cysteines}), 35.0);
}

TEST(Pearson, FollowsItsDefinition) {
  const std::vector<double> a = {1, 2, 3, 4};
  const std::vector<double> b = {2, 4, 6, 9};
  EXPECT_NEAR(pearson(a, b), 0.994376713, 1e-8);  // numpy.corrcoef
  EXPECT_NEAR(pearson(a, std::vector<double>{4, 3, 2, 1}), -1.0, 1e-12);
  EXPECT_TRUE(std::isnan(pearson(a, std::vector<double>(4, 1.0))));
  EXPECT_TRUE(std::isnan(pearson({}, {})));
  EXPECT_THROW(pearson(a, {}), Error);
}

TEST(Atom14Trajectory, RefusesWhatIsNoFrames) {
  const std::vector<int> types(3, 7);
  EXPECT_THROW(Atom14Trajectory(std::vector<float>(3 * kFrame + 1), types), Error);
  EXPECT_THROW(Atom14Trajectory({}, {}), Error);
}

}  // namespace
}  // namespace mdgen::sample
