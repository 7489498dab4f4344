// Whole runs in every precision: resuming repeats the bits, checkpoints hold what they should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/base/files.h"
#include "core/checkpoint/store.h"
#include "core/checkpoint/train_state.h"
#include "core/train/failure.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::metrics_of;
using mdgen::testing::run_training;
using mdgen::testing::RunOptions;
using mdgen::testing::RunResult;
using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string file_name(std::string precision) {
  std::replace(precision.begin(), precision.end(), '-', '_');
  return precision;
}

class PrecisionRun : public ::testing::TestWithParam<const char*> {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"name=" + name, "no_validate=false", "val_epoch_freq=1",
                               std::string("precision=") + GetParam()});
    return mdgen::testing::tiny_spec(data_, folder_.path(), more);
  }
  checkpoint::Found newest(const std::string& name) const {
    std::vector<std::string> notes;
    return *checkpoint::newest_good(folder_ / name / "checkpoints", notes);
  }
  std::vector<std::string> digests(const std::string& name) const {
    std::vector<std::string> all;
    for (const auto& file : newest(name).manifest.files) {
      if (file.name.ends_with(".safetensors")) all.push_back(file.name + " " + file.sha256);
    }
    return all;
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

// Eight steps with a validation after each epoch of two.
TEST_P(PrecisionRun, Resumed_RepeatsTheBits) {
  run_training(spec("whole"));
  const RunResult stopped = run_training(spec("halves"), {.stop_after = 3, .stop_checkpoint = true});
  ASSERT_EQ(stopped.finish.outcome(), v1::OUTCOME_STOPPED);
  ASSERT_LT(stopped.finish.steps_applied(), 8);
  run_training(spec("halves"), {.generation = 2, .require_checkpoint = true});
  EXPECT_EQ(curve_of(spec("halves")), curve_of(spec("whole")));
  EXPECT_EQ(digests("halves"), digests("whole"));
}

TEST_F(PrecisionRun, Auto_IsDecidedOnceAndKept) {
  const auto run = [&](const std::string& name, std::vector<std::string> more, RunOptions options = {}) {
    more.insert(more.begin(), {"name=" + name, "no_validate=false", "val_epoch_freq=1"});
    const v1::JobSpec spec = mdgen::testing::tiny_spec(data_, folder_.path(), more);
    return run_training(spec, options);
  };
  const std::string chosen = run("measured", {"precision=auto"}).observer.start.precision();
  EXPECT_THAT(chosen, AnyOf("32-true", "bf16-mixed"));
  EXPECT_THAT(read_file(folder_ / "measured" / "spec.yaml"), HasSubstr("auto_precision: " + chosen));

  // Begun with the one, the run goes on with it whatever a later assignment says.
  run("kept", {"precision=auto", "auto_precision=bf16-mixed"}, {.stop_after = 3, .stop_checkpoint = true});
  const RunResult on = run("kept", {"precision=auto", "auto_precision=32-true"},
                           {.generation = 2, .require_checkpoint = true});
  EXPECT_EQ(on.observer.start.precision(), "bf16-mixed");
  run("named", {"precision=bf16-mixed"});
  EXPECT_EQ(digests("kept"), digests("named"));
}

TEST_P(PrecisionRun, Learns_InEveryStep) {
  const RunResult result = run_training(spec("learn", {"epochs=40", "lr=0.01"}));
  double first = 0;
  double last = 0;
  const auto& steps = result.observer.steps;
  for (std::size_t i = 0; i < 10; ++i) {
    first += steps[i].loss();
    last += steps[steps.size() - 1 - i].loss();
  }
  EXPECT_LT(last, 0.8 * first);
  EXPECT_LT(result.observer.validations.back().val_loss(), result.observer.validations.front().val_loss());
  for (const v1::StepReport& step : steps) {
    EXPECT_FALSE(step.skipped());
    EXPECT_FALSE(step.overflowed());
    EXPECT_EQ(step.loss_scale(), GetParam() == std::string("16-mixed") ? 65536 : 0);
  }
}

TEST_P(PrecisionRun, ACheckpoint_HoldsMasterWeightsMomentsAndAverage) {
  run_training(spec("saved"));
  const checkpoint::TrainState saved = checkpoint::read_files(newest("saved").folder);
  const bool exact = GetParam() == std::string("64-true");
  const at::ScalarType type = exact ? at::kDouble : at::kFloat;
  for (const auto* part : {&saved.model, &saved.ema, &saved.optimizer}) {
    for (const auto& [name, tensor] : *part) {
      if (tensor.scalar_type() == at::kLong) continue;
      EXPECT_EQ(tensor.scalar_type(), name == "scaler.scale" ? at::kFloat : type) << name;
    }
  }
  // The low bits are used: weights that are rounded to half precision after each step would have none.
  const at::Tensor weight = saved.model.at("layers.0.fc1.weight");
  EXPECT_FALSE(weight.to(exact ? at::kFloat : at::kBFloat16).to(type).equal(weight));
  const bool scaled = GetParam() == std::string("16-mixed");
  EXPECT_EQ(saved.optimizer.contains("scaler.scale"), scaled);
  if (scaled) {
    EXPECT_EQ(saved.optimizer.at("scaler.scale").item<float>(), 65536);
    EXPECT_EQ(saved.optimizer.at("scaler.growth_tracker").item<std::int64_t>(), 8);
  }
}

TEST_P(PrecisionRun, AnotherPrecisionsCheckpoint_IsRefusedNamingTheField) {
  const char* other = GetParam() == std::string("32-true") ? "64-true" : "32-true";
  run_training(spec("taken", {std::string("precision=") + other, "epochs=1"}));
  try {
    run_training(spec("taken"), {.generation = 2});
    FAIL() << "accepted";
  } catch (const RunFailure& failure) {
    EXPECT_EQ(failure.reason(), "CheckpointMismatch");
    EXPECT_THAT(failure.what(), HasSubstr("precision"));
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, PrecisionRun,
                         ::testing::Values("32-true", "64-true", "bf16-mixed", "16-mixed", "bf16-true"),
                         [](const auto& info) { return file_name(info.param); });

}  // namespace
}  // namespace mdgen::train
