#include "core/prep/inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/error.h"
#include "tests/support/temp_dir.h"

namespace mdgen::prep {
namespace {

using ::testing::ElementsAre;

class InputsTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& file) {
    std::filesystem::create_directories(dir_ / name);
    std::ofstream(dir_.path() / name / file) << "x";
  }
  testing::TempDir dir_;
};

TEST_F(InputsTest, ReplicasUnderEitherName) {
  put("a", "a.pdb");
  put("a", "a_prod_R1_fit.xtc");
  put("a", "a_R3.xtc");
  put("a", "a_R4.xtc");
  const Entry entry = locate(dir_.path(), "a", true, "out", "_i40");
  ASSERT_EQ(entry.sources.size(), 2U);
  EXPECT_EQ(entry.sources[0].trajectory, dir_.path() / "a/a_prod_R1_fit.xtc");
  EXPECT_EQ(entry.sources[0].output, "out/a_R1_i40.npy");
  EXPECT_EQ(entry.sources[1].output, "out/a_R3_i40.npy");
}

TEST_F(InputsTest, OneTrajectoryWithoutReplicas) {
  put("a", "a.pdb");
  EXPECT_THROW(locate(dir_.path(), "a", false, "out", ""), Error);
  put("a", "a.xtc");
  EXPECT_EQ(locate(dir_.path(), "a", false, "out", "").sources.at(0).output, "out/a.npy");
}

TEST_F(InputsTest, MissingFilesAreErrors) {
  put("a", "a_R1.xtc");
  EXPECT_THROW(locate(dir_.path(), "a", true, "out", ""), Error);
  put("b", "b.pdb");
  EXPECT_THROW(locate(dir_.path(), "b", true, "out", ""), Error);
}

TEST_F(InputsTest, NamesAreTheSubFolders) {
  EXPECT_THROW(entry_names(dir_.path()), Error);
  EXPECT_THROW(entry_names(dir_ / "absent"), Error);
  put("b", "x");
  put("a", "x");
  std::ofstream(dir_ / "file") << "x";
  EXPECT_THAT(entry_names(dir_.path()), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace mdgen::prep
