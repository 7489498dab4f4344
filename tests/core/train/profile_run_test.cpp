// logging.profile in whole runs. What the traces hold: tests/e2e/test_profile.py, since LibTorch's profiler
// records nothing where another than the process's first thread trains, as here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::run_training;

class ProfileRun : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(), {"name=" + name});
    return mdgen::testing::tiny_spec(data_, folder_.path(), more);
  }
  std::vector<std::filesystem::path> traces(const std::string& name) const {
    std::vector<std::filesystem::path> files;
    const std::filesystem::path folder = folder_ / name / "profile";
    if (!std::filesystem::exists(folder)) return files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
    return files;
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(ProfileRun, LeavesTheCurveAlone_AndNothingIsWrittenWithout) {
  run_training(spec("with", {"profile=2"}));
  run_training(spec("without", {}));
  EXPECT_EQ(curve_of(spec("with", {})), curve_of(spec("without", {})));
  EXPECT_EQ(traces("with").size(), 1U);
  EXPECT_TRUE(traces("without").empty());
}

TEST_F(ProfileRun, AFolderThatCannotBe_EndsNothing) {
  const v1::JobSpec blocked = spec("blocked", {"profile=1"});
  std::filesystem::create_directories(folder_ / "blocked");
  std::ofstream(folder_ / "blocked" / "profile") << "a file";
  EXPECT_EQ(run_training(blocked).finish.outcome(), v1::OUTCOME_COMPLETED);
}

}  // namespace
}  // namespace mdgen::train
