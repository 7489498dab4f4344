// A run folder on a disk that is full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/train/append_file.h"
#include "core/train/failure.h"
#include "tests/support/small_disk.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Eight steps in four epochs, with a checkpoint after each step, none of which may make room.
class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!disk_.there()) GTEST_SKIP() << disk_.why_not();
    data_ = mdgen::testing::make_synthetic_dataset(
        folder_ / "data",
        {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
  }
  v1::JobSpec spec(const std::string& name) {
    v1::JobSpec spec = mdgen::testing::tiny_spec(*data_, disk_.path(), {"name=" + name, "every_steps=1", "keep_every=1"});
    spec.mutable_recovery()->set_hold_for_seconds(0);
    return spec;
  }
  void fill() { write_file_synced(filler_, std::string(static_cast<std::size_t>(free_bytes(disk_.path())), 'x')); }
  std::size_t lines(const std::string& name) const {
    const std::string text = read_file(disk_ / name / "metrics.jsonl");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  mdgen::testing::SmallDisk disk_{64 << 20};
  mdgen::testing::TempDir folder_;
  std::optional<mdgen::testing::SyntheticDataset> data_;
  std::filesystem::path filler_ = disk_ / "filler";
};

TEST_F(FullDiskTest, TrainingGoesOn_AndCheckpointsComeBackWithTheRoom) {
  const std::size_t whole = (mdgen::testing::run_training(spec("whole")), lines("whole"));
  const auto result = mdgen::testing::run_training(spec("full"), {.on_step = [&](const v1::StepReport& report) {
                                                     if (report.step() == 2) fill();
                                                     if (report.step() == 6) std::filesystem::remove(filler_);
                                                   }});
  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_COMPLETED);
  ASSERT_THAT(result.observer.checkpoints, SizeIs(8));
  const v1::CheckpointReport& failed = result.observer.checkpoints[4];
  EXPECT_FALSE(failed.verified());
  EXPECT_THAT(failed.problem(), AllOf(HasSubstr("the checkpoint of step 5 is not written"),
                                      HasSubstr((disk_ / "full" / "checkpoints").string()),
                                      HasSubstr("are needed"), HasSubstr("are free")));
  EXPECT_GT(failed.bytes_needed(), failed.bytes_free());
  EXPECT_TRUE(result.observer.checkpoints[7].verified());
  EXPECT_EQ(result.observer.checkpoints[7].problem(), "");
  EXPECT_EQ(lines("full"), whole) << "no line of metrics.jsonl is lost";
  std::vector<std::string> notes;
  EXPECT_EQ(checkpoint::newest_good(disk_ / "full" / "checkpoints", notes)->manifest.summary.step, 8);
  EXPECT_THAT(notes, ::testing::IsEmpty());
}

TEST_F(FullDiskTest, TheLastCheckpointsFailureIsTheRuns) {
  std::size_t steps = 0;
  try {
    mdgen::testing::run_training(spec("last"), {.on_step = [&](const v1::StepReport& report) {
                                   steps += 1;
                                   if (report.step() == 4) fill();
                                 }});
    FAIL() << "there was no room for the last checkpoint";
  } catch (const RunFailure& failure) {
    EXPECT_EQ(failure.reason(), "CheckpointFailed");
    EXPECT_THAT(failure.what(), AllOf(HasSubstr("the checkpoint of step 8"), HasSubstr("are needed")));
  }
  EXPECT_EQ(steps, 8U);
  std::vector<std::string> notes;
  const auto found = checkpoint::newest_good(disk_ / "last" / "checkpoints", notes);
  ASSERT_TRUE(found) << "the last good one is there still";
  EXPECT_GE(found->manifest.summary.step, 3);
}

TEST_F(FullDiskTest, LinesWaitInMemoryAndAreWrittenWhole) {
  const std::filesystem::path file = disk_ / "lines";
  std::string all;
  AppendFile lines(file);
  for (int i = 0; i < 300; ++i) {
    if (i == 100) fill();
    if (i == 200) std::filesystem::remove(filler_);
    const std::string line = "line " + std::to_string(i) + std::string(200, '.') + "\n";
    lines.append(line);
    all += line;
    if (i == 199) {
      EXPECT_GT(lines.waiting(), 0U);
    }
  }
  EXPECT_EQ(lines.waiting(), 0U);
  EXPECT_EQ(read_file(file), all);
}

}  // namespace
}  // namespace mdgen::train
