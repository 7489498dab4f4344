#include "core/format/trajectory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/error.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trajectory_files.h"

namespace mdgen::format {
namespace {

using namespace mdgen::testing;  // NOLINT
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TrajectoryTest : public ::testing::Test {
 protected:
  std::filesystem::path put(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
    return dir_ / name;
  }
  void expect_glycine(const std::filesystem::path& file, std::size_t frames) {
    TrajectoryReader reader(file);
    ASSERT_EQ(reader.frames(), frames);
    const std::vector<Frame> wanted = glycine_frames(frames);
    for (std::size_t frame = 0; frame < frames; ++frame) {
      const auto positions = reader.positions(frame);
      ASSERT_EQ(positions.size(), 5U);
      for (std::size_t atom = 0; atom < 5; ++atom)
        for (std::size_t axis = 0; axis < 3; ++axis)
          ASSERT_NEAR(positions[atom][axis], wanted[frame][atom][axis], 1e-5) << file << " frame " << frame;
    }
  }
  std::string refusal(const std::filesystem::path& file) {
    try {
      TrajectoryReader reader(file);
      for (std::size_t i = 0; i < reader.frames(); ++i) reader.positions(i);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(file.string()));
      return error.what();
    }
    return "accepted";
  }
  TempDir dir_;
};

TEST_F(TrajectoryTest, EveryFormatGivesTheSameFrames) {
  const std::vector<Frame> frames = glycine_frames(4);
  expect_glycine(put("a.xtc", xtc(frames)), 4);
  expect_glycine(put("a.trr", trr(frames)), 4);
  expect_glycine(put("a.dcd", dcd(frames, 4)), 4);
  expect_glycine(put("big.dcd", dcd(frames, 4, std::endian::big)), 4);
  expect_glycine(put("a.pdb", pdb(glycine(), frames)), 4);
}

// Wherever the last frame is cut, the reader says so and names it; cut between two frames, the file is whole.
TEST_F(TrajectoryTest, EveryCutInTheLastFrameIsNoticed) {
  const std::vector<Frame> frames = glycine_frames(3);
  const std::vector<Frame> fewer = glycine_frames(2);
  const std::pair<std::string, std::pair<std::string, std::string>> files[] = {
      {"a.xtc", {xtc(frames), xtc(fewer)}},
      {"a.trr", {trr(frames), trr(fewer)}},
      {"a.dcd", {dcd(frames, 3), dcd(fewer, 3)}}};
  for (const auto& [name, bytes] : files) {
    const auto& [whole, without_last] = bytes;
    ASSERT_EQ(whole.substr(0, without_last.size()), without_last);
    for (std::size_t size = without_last.size() + 1; size < whole.size(); ++size)
      ASSERT_THAT(refusal(put(name, whole.substr(0, size))), HasSubstr("frame 2 is incomplete"))
          << name << " " << size;
    EXPECT_EQ(refusal(put(name, without_last)), "accepted") << name;
  }
}

TEST_F(TrajectoryTest, ADcdMayCountOtherFramesThanItHolds) {
  expect_glycine(put("a.dcd", dcd(glycine_frames(2), 500)), 2);
}

TEST_F(TrajectoryTest, RecordsAfterTheLastModelAreNoFrame) {
  std::string text = pdb(glycine(), glycine_frames(2));
  text.insert(text.size() - 4, "CONECT    1    2\n");
  expect_glycine(put("a.pdb", text), 2);
}

TEST_F(TrajectoryTest, UnreadableFilesAreNamed) {
  EXPECT_THAT(refusal(dir_ / "absent.xtc"), HasSubstr("no such file"));
  EXPECT_NE(refusal(put("a.xtc", "no trajectory at all")), "accepted");
  for (const char* name : {"empty.xtc", "empty.trr"})
    EXPECT_THAT(refusal(put(name, "")), HasSubstr("there are no frames"));
  const std::string header = dcd(glycine_frames(1), 0).substr(0, 92 + 92 + 12);
  EXPECT_THAT(refusal(put("header.dcd", header)), HasSubstr("there are no frames"));
  EXPECT_NE(refusal(put("a.unknown", "x")), "accepted");
}

TEST_F(TrajectoryTest, TopologyInTheFilesOrder) {
  const Frame frame(5, {1, 2, 3});
  const std::vector<PdbAtom> atoms = {
      {"N", "ALA", 7}, {"CA", "ALA", 7}, {"N", "LYS", 3}, {"CA", "LYS", 3}, {"1HB", "LYS", 3}};
  const Topology topology = read_topology(put("a.pdb", pdb(atoms, {frame, frame})));
  EXPECT_THAT(topology.atom_names, ElementsAre("N", "CA", "N", "CA", "1HB"));
  ASSERT_EQ(topology.residues.size(), 2U);
  EXPECT_EQ(topology.residues[0].name, "ALA");
  EXPECT_EQ(topology.residues[0].number, 7);
  EXPECT_EQ(topology.residues[0].chain, "A");
  EXPECT_THAT(topology.residues[1].atoms, ElementsAre(2, 3, 4));
}

TEST_F(TrajectoryTest, TopologyNeedsResiduesInOnePiece) {
  const Frame frame(3, {1, 2, 3});
  const std::vector<PdbAtom> torn = {{"N", "ALA", 1}, {"N", "LYS", 2}, {"CA", "ALA", 1}};
  EXPECT_THROW(read_topology(put("a.pdb", pdb(torn, {frame}))), Error);
  EXPECT_THROW(read_topology(put("a.xyz", "1\n\nC 0 0 0\n")), Error);
  EXPECT_THROW(read_topology(dir_ / "absent.pdb"), Error);
}

}  // namespace
}  // namespace mdgen::format
