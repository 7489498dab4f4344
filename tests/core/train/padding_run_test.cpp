// Whole runs with trimmed and with full padding learn the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/train/failure.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::run_training;
using mdgen::testing::RunOptions;
using Words = std::vector<std::string>;
using Curve = std::vector<std::vector<double>>;

// 12 virtual samples an epoch, 4 a step, crop 20: micro-batches of 8, 16 or 20 residues.
class PaddingRun : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, const std::string& padding, Words more) {
    more.insert(more.begin(), {"name=" + name, "padding=" + padding, "crop=20", "batch_size=2", "epochs=2",
                               "no_validate=false", "num_layers=2"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), more);
  }
  Curve curve(const std::string& padding, const Words& more) {
    const v1::JobSpec run = spec("run" + std::to_string(++runs_), padding, more);
    run_training(run);
    return curve_of(run);
  }
  void expect_same(const Curve& a, const Curve& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    ASSERT_GT(a.size(), 6U);
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].size(), b[i].size());
      EXPECT_EQ(a[i][0], b[i][0]);
      for (std::size_t j = 1; j < a[i].size(); ++j)
        EXPECT_NEAR(a[i][j], b[i][j], tolerance * std::abs(b[i][j])) << "line " << i << ", value " << j;
    }
  }

  int runs_ = 0;
  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {5, 7, 13, 30}, .frames = 8, .replicas = 2, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(PaddingRun, Trimmed_HasTheCurveOfPadded) {
  for (const Words& more :
       std::initializer_list<Words>{{},
                                    {"dropout=0.3", "interleave_ipa=true", "grad_checkpointing=true"},
                                    {"design=true", "supervise_all_torsions=true", "reference_compat=false"},
                                    {"reference_compat=true", "abs_pos_emb=true"}}) {
    expect_same(curve("trimmed", more), curve("crop", more), 1e-5);
  }
}

// Another shape may round a product to the other side of a bfloat16.
TEST_F(PaddingRun, Trimmed_InMixedPrecision_HasTheCurveOfPadded) {
  const Words more = {"precision=bf16-mixed", "dropout=0.1"};
  expect_same(curve("trimmed", more), curve("crop", more), 2e-2);
}

// Its micro-batches would be others.
TEST_F(PaddingRun, ARunDoesNotGoOnWithOtherPadding) {
  RunOptions first;
  first.stop_after = 2;
  first.stop_checkpoint = true;
  run_training(spec("halves", "crop", {}), first);
  RunOptions second;
  second.generation = 2;
  try {
    run_training(spec("halves", "trimmed", {}), second);
    FAIL() << "went on";
  } catch (const RunFailure& failure) {
    EXPECT_EQ(failure.reason(), "CheckpointMismatch");
    EXPECT_THAT(failure.what(), ::testing::HasSubstr("data.padding"));
  }
}

}  // namespace
}  // namespace mdgen::train
