// dropout and grad_checkpointing in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/store.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::run_training;
using mdgen::testing::RunResult;

class RecomputingRun : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(), {"name=" + name, "no_validate=false", "lr=0.01", "num_layers=2"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), more);
  }
  std::vector<std::vector<double>> curve(const std::string& name, std::vector<std::string> more) {
    const v1::JobSpec run = spec(name, std::move(more));
    run_training(run);
    return curve_of(run);
  }
  std::vector<std::string> digests(const std::string& name) const {
    std::vector<std::string> notes, all;
    const auto found = checkpoint::newest_good(folder_ / name / "checkpoints", notes);
    for (const auto& file : found.value().manifest.files) {
      if (file.name.ends_with(".safetensors")) all.push_back(file.name + " " + file.sha256);
    }
    return all;
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(RecomputingRun, GradCheckpointing_LeavesEveryBit) {
  const std::vector<std::vector<std::string>> variants = {{},
                                                          {"dropout=0.3"},
                                                          {"precision=bf16-mixed"},
                                                          {"precision=bf16-true", "dropout=0.1"},
                                                          {"precision=16-mixed"}};
  for (std::size_t i = 0; i < variants.size(); ++i) {
    std::vector<std::string> recomputing = variants[i];
    recomputing.emplace_back("grad_checkpointing=true");
    const std::string number = std::to_string(i);
    EXPECT_EQ(curve("recomputing" + number, recomputing), curve("plain" + number, variants[i])) << i;
    EXPECT_EQ(digests("recomputing" + number), digests("plain" + number)) << i;
  }
}

TEST_F(RecomputingRun, Dropout_ChangesTheCurve_ZeroDoesNot) {
  const auto none = curve("none", {});
  EXPECT_EQ(curve("zero", {"dropout=0"}), none);
  EXPECT_NE(curve("some", {"dropout=0.3"}), none);
}

TEST_F(RecomputingRun, Dropout_Resumed_RepeatsTheBits) {
  const auto whole = curve("whole", {"dropout=0.3"});
  run_training(spec("halves", {"dropout=0.3"}), {.stop_after = 3, .stop_checkpoint = true});
  run_training(spec("halves", {"dropout=0.3"}), {.generation = 2, .require_checkpoint = true});
  EXPECT_EQ(curve_of(spec("halves", {"dropout=0.3"})), whole);
}

// Four samples one by one, in pairs with another padding, and all at once.
TEST_F(RecomputingRun, Dropout_OfASample_DoesNotDependOnItsBatch) {
  const auto one_by_one = curve("one", {"dropout=0.3"});
  for (const char* batch : {"2", "4"}) {
    const auto batched =
        curve(std::string("batch") + batch, {"dropout=0.3", std::string("batch_size=") + batch});
    ASSERT_EQ(batched.size(), one_by_one.size());
    for (std::size_t i = 0; i < batched.size(); ++i) {
      EXPECT_NEAR(batched[i][1], one_by_one[i][1], 2e-4 * one_by_one[i][1]) << "line " << i;
    }
  }
}

}  // namespace
}  // namespace mdgen::train
