// Our XTC decoder against chemfiles', on files that chemfiles wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <memory>
#include <random>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/format/chemfiles_api.h"
#include "core/format/trajectory.h"
#include "core/format/xtc_reader.h"
#include "core/format/xtc_writer.h"
#include "tests/support/temp_dir.h"
#include "tests/support/trajectory_files.h"

namespace mdgen::format {
namespace {

using ::testing::HasSubstr;
using Positions = std::vector<std::array<double, 3>>;

std::vector<Positions> by_chemfiles(const std::filesystem::path& file) {
  const std::unique_ptr<CHFL_TRAJECTORY, decltype(&chfl_trajectory_close)> trajectory(
      chfl_trajectory_open(file.c_str(), 'r'), &chfl_trajectory_close);
  const std::unique_ptr<CHFL_FRAME, decltype(&chfl_free)> frame(chfl_frame(), &chfl_free);
  std::uint64_t frames = 0;
  chfl_trajectory_nsteps(trajectory.get(), &frames);
  std::vector<Positions> all;
  for (std::uint64_t i = 0; i < frames; ++i) {
    chfl_vector3d* positions = nullptr;
    std::uint64_t atoms = 0;
    EXPECT_EQ(chfl_trajectory_read_step(trajectory.get(), i, frame.get()), 0) << chfl_last_error();
    chfl_frame_positions(frame.get(), &positions, &atoms);
    const auto* first = reinterpret_cast<const std::array<double, 3>*>(positions);
    all.emplace_back(first, first + atoms);
  }
  return all;
}

void expect_as_chemfiles(const std::filesystem::path& file) {
  const std::vector<Positions> wanted = by_chemfiles(file);
  XtcReader reader(file);
  ASSERT_EQ(reader.frames(), wanted.size()) << file;
  for (std::size_t i = wanted.size(); i-- > 0;) {  // in any order
    const auto got = reader.positions(i);
    ASSERT_EQ(got.size(), wanted[i].size());
    for (std::size_t atom = 0; atom < got.size(); ++atom)
      for (std::size_t axis = 0; axis < 3; ++axis)  // chemfiles' are rounded to float
        ASSERT_NEAR(got[atom][axis], wanted[i][atom][axis], 1e-5 + 2e-7 * std::abs(got[atom][axis]))
            << file << " frame " << i << " atom " << atom;
  }
}

class XtcTest : public ::testing::Test {
 protected:
  // A random walk, so that most atoms are near the one before, as in a molecule.
  Positions walk(std::size_t atoms, double step, double spread) {
    std::normal_distribution<double> normal;
    Positions positions(atoms);
    std::array<double, 3> at{};
    for (auto& position : positions) {
      if (atoms > 0 && random_() % 50 == 0)
        for (double& value : at) value = spread * normal(random_);
      for (double& value : at) value += step * normal(random_);
      position = at;
    }
    return positions;
  }
  std::filesystem::path write(const std::vector<Positions>& frames) {
    XtcWriter writer(dir_ / "a.xtc");
    for (std::size_t i = 0; i < frames.size(); ++i) writer.append(frames[i], static_cast<double>(i));
    writer.publish();
    return dir_ / "a.xtc";
  }
  std::string refusal(const std::filesystem::path& file) {
    try {
      TrajectoryReader reader(file);
      for (std::size_t i = 0; i < reader.frames(); ++i) reader.positions(i);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  mdgen::testing::TempDir dir_;
  std::mt19937 random_{7};
};

// The spreads need 24 to 72 bits an atom, packed into one number or each axis apart.
TEST_F(XtcTest, AsChemfilesReadsThem) {
  for (const std::size_t atoms : {10U, 11U, 257U, 3000U})
    for (const double step : {0.01, 1.0, 40.0, 2000.0})
      for (const double spread : {1.0, 100.0, 1e4, 1e5, 1e6})
        expect_as_chemfiles(write({walk(atoms, step, spread), walk(atoms, step, spread)}));
}

TEST_F(XtcTest, FewAtomsAreNotCompressed) {
  for (std::size_t atoms = 1; atoms <= 9; ++atoms) expect_as_chemfiles(write({walk(atoms, 1, 10)}));
}

TEST_F(XtcTest, RealTrajectories) {
  const std::filesystem::path folder =
      std::filesystem::path(MDGEN_SOURCE_DIR).parent_path() / "shared/data/trajectories";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "needs " << folder;
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".xtc") continue;
    expect_as_chemfiles(entry.path());
    ++files;
  }
  EXPECT_GE(files, 5U);
}

TEST_F(XtcTest, DamageIsAnErrorOrAnotherNumberButNeverMore) {
  const std::string whole = read_file(write({walk(300, 1, 30)}));
  std::size_t refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 1 + round % 5; ++i) bytes[random_() % bytes.size()] = static_cast<char>(random_());
    std::ofstream(dir_ / "bad.xtc", std::ios::binary) << bytes;
    refused += refusal(dir_ / "bad.xtc") != "accepted" ? 1 : 0;
  }
  EXPECT_GT(refused, 50U);
}

TEST_F(XtcTest, FaultsAreNamedWithTheirFrame) {
  const std::string frame = read_file(write({walk(30, 1, 30)}));
  const std::string other = read_file(write({walk(31, 1, 30)}));
  const auto refused = [&](const std::string& bytes) {
    std::ofstream(dir_ / "bad.xtc", std::ios::binary) << bytes;
    return refusal(dir_ / "bad.xtc");
  };
  EXPECT_THAT(refused(""), HasSubstr("bad.xtc: there are no frames"));
  EXPECT_THAT(refused(frame + other), HasSubstr("frame 1: 31 atoms, frame 0 has 30"));
  EXPECT_THAT(refused(frame + std::string(60, 'x')), HasSubstr("frame 1: it does not begin as an XTC frame"));
  std::string damaged = frame;
  damaged[84 + 3] = 99;  // bits of a difference
  EXPECT_THAT(refused(frame + damaged), HasSubstr("frame 1: its compressed coordinates are damaged"));
}

TEST_F(XtcTest, TheCellOfEachFrame) {
  std::string bytes = mdgen::testing::xtc(mdgen::testing::glycine_frames(2));
  const std::size_t second = bytes.size() / 2;
  const std::array<float, 9> box = {5, 0, 0, 1, 6, 0, 0.5, 2, 7};  // nm
  for (std::size_t i = 0; i < box.size(); ++i)
    bytes.replace(second + 16 + 4 * i, 4, mdgen::testing::number(box[i], std::endian::big));
  std::ofstream(dir_ / "a.xtc", std::ios::binary) << bytes;
  TrajectoryReader reader(dir_ / "a.xtc");
  reader.positions(1);
  EXPECT_EQ(reader.cell(), (UnitCell{{{50, 0, 0}, {10, 60, 0}, {5, 20, 70}}}));
  reader.positions(0);
  EXPECT_EQ(reader.cell(), std::nullopt) << "an empty box is none";
}

}  // namespace
}  // namespace mdgen::format
