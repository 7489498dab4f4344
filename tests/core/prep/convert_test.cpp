#include "core/prep/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "core/base/error.h"
#include "core/format/npy.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trajectory_files.h"

namespace mdgen::prep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::glycine_frames;
using ::testing::HasSubstr;

class ConvertTest : public ::testing::Test {
 protected:
  ConvertTest() {
    std::ofstream(dir_ / "top.pdb") << testing::pdb(testing::glycine(), glycine_frames(1));
    selection_ = select_atoms(format::read_topology(dir_ / "top.pdb"), dir_ / "top.pdb");
  }
  std::filesystem::path put(const std::vector<testing::Frame>& frames) {
    std::ofstream(dir_ / "a.dcd", std::ios::binary)
        << testing::dcd(frames, static_cast<std::uint32_t>(frames.size()));
    return dir_ / "a.dcd";
  }
  format::NpyArray converted(const std::vector<testing::Frame>& frames, const ConvertOptions& options) {
    convert(selection_, put(frames), dir_ / "a.npy", options).writer.publish();
    return format::NpyArray(dir_ / "a.npy");
  }
  std::string refusal(const std::vector<testing::Frame>& frames, const ConvertOptions& options = {}) {
    try {
      convert(selection_, put(frames), dir_ / "a.npy", options);
    } catch (const Error& error) {
      EXPECT_FALSE(std::filesystem::exists(dir_ / "a.npy"));
      EXPECT_FALSE(std::filesystem::exists(dir_ / "a.npy.partial"));
      return error.what();
    }
    return "accepted";
  }
  testing::TempDir dir_;
  Selection selection_;
};

// The molecule only shifts, so on frame 0 every frame is frame 0.
TEST_F(ConvertTest, EveryFrameLiesOnTheFirst) {
  const format::NpyArray array = converted(glycine_frames(3), {.stride = 1, .half = false, .center = false});
  EXPECT_THAT(array.header().shape, ElementsAre(3, 1, 14, 3));
  const auto* values = reinterpret_cast<const float*>(array.data());
  const testing::Frame first = glycine_frames(1)[0];
  for (std::size_t frame = 0; frame < 3; ++frame)
    for (std::size_t place = 0; place < 14; ++place)
      for (std::size_t axis = 0; axis < 3; ++axis)
        EXPECT_NEAR(values[(frame * 14 + place) * 3 + axis], place < 4 ? first[place][axis] : 0, 1e-5);
}

TEST_F(ConvertTest, CentredOnTheHeavyAtomsOfFrameZero) {
  const format::NpyArray array = converted(glycine_frames(2), {.stride = 1, .half = false, .center = true});
  const auto* values = reinterpret_cast<const float*>(array.data());
  const float centroid = (0 + 0 + 1.5F + 2 + 2) / 5;  // OXT included
  EXPECT_NEAR(values[0], 0 - centroid, 1e-5);
  EXPECT_NEAR(values[14 * 3 + 6], 1.5F - centroid, 1e-5);
  EXPECT_EQ(values[4 * 3], 0) << "absent atoms stay zero";
}

TEST_F(ConvertTest, StrideKeepsFrameZeroAndRoundsUp) {
  EXPECT_THAT(converted(glycine_frames(5), {.stride = 2, .half = true, .center = true}).header().shape,
              ElementsAre(3, 1, 14, 3));
  EXPECT_THAT(converted(glycine_frames(5), {.stride = 9, .half = true, .center = true}).header().shape,
              ElementsAre(1, 1, 14, 3));
}

TEST_F(ConvertTest, BadCoordinatesAreNamed) {
  std::vector<testing::Frame> frames = glycine_frames(4);
  frames[2][1][0] = std::numeric_limits<float>::quiet_NaN();
  const auto named = AllOf(HasSubstr("a.dcd"), HasSubstr("frame 2"), HasSubstr("residue GLY 1"));
  EXPECT_THAT(refusal(frames), named);
  EXPECT_THAT(refusal(frames, {.stride = 2, .half = true, .center = true}), named);
  EXPECT_EQ(refusal(frames, {.stride = 3, .half = true, .center = true}), "accepted") << "it is not decoded";
  frames = glycine_frames(4);
  for (auto& atom : frames[0]) atom[2] += 70'000;
  EXPECT_THAT(refusal(frames, {.stride = 1, .half = true, .center = false}),
              HasSubstr("beyond what float16 holds"));
  EXPECT_EQ(refusal(frames, {.stride = 1, .half = true, .center = true}), "accepted");
}

TEST_F(ConvertTest, AnotherNumberOfAtomsIsNamed) {
  std::vector<testing::Frame> frames = glycine_frames(2);
  for (auto& frame : frames) frame.pop_back();
  EXPECT_THAT(refusal(frames), HasSubstr("frame 0: 4 atoms, the topology has 5"));
}

}  // namespace
}  // namespace mdgen::prep
