#include "core/train/initial_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/lightning.h"
#include "core/checkpoint/store.h"
#include "core/train/failure.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using checkpoint::Portable;
using checkpoint::Weights;
using mdgen::testing::curve_of;
using mdgen::testing::run_training;
using mdgen::testing::RunOptions;
using mdgen::testing::RunResult;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(FirstStep, LightningFile_GoesOnWithTheNextEpochOfTheRunsOwnPlan) {
  Portable portable;
  portable.is_lightning = true;
  portable.epochs_done = 3;
  portable.optimizer_steps = 1000;
  EXPECT_EQ(first_step(portable, "plan", 7), 21);
  portable.epoch_steps = 4;
  EXPECT_EQ(first_step(portable, "plan", 7), 25);
  portable.epoch_steps = 400;  // of larger epochs
  EXPECT_EQ(first_step(portable, "plan", 7), 27);
}

TEST(FirstStep, OwnCheckpointOfTheSamePlan_GoesOnAtItsStep) {
  Portable portable;
  portable.epochs_done = 3;
  portable.step = 23;
  portable.plan_digest = "plan";
  EXPECT_EQ(first_step(portable, "plan", 7), 23);
  EXPECT_EQ(first_step(portable, "another", 7), 21);
}

// 6 virtual samples an epoch, 4 a step: 2 steps an epoch.
class InitialCheckpoint : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.push_back("name=" + name);
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }
  std::filesystem::path checkpoints(const std::string& name) const {
    return folder_ / (name + "/checkpoints");
  }
  Portable portable(const std::string& name) const {
    return checkpoint::read_portable(checkpoints(name), checkpoint::Contents::kAll);
  }
  // A run of two epochs, exported.
  std::filesystem::path exported(Weights weights = Weights::kRaw) {
    run_training(spec("part", {"epochs=2"}));
    const std::filesystem::path file = folder_ / "part.ckpt";
    checkpoint::write_lightning(portable("part"), file, weights);
    return file;
  }
  // The digests of the files with tensors.
  std::vector<std::string> final_tensors(const std::string& name) const {
    std::vector<std::string> notes;
    std::vector<std::string> digests;
    const auto found = checkpoint::newest_good(checkpoints(name), notes);
    for (const auto& file : found.value().manifest.files)
      if (file.name.ends_with(".safetensors")) digests.push_back(file.name + " " + file.sha256);
    return digests;
  }
  static std::string failure_of(const v1::JobSpec& spec) {
    try {
      run_training(spec);
    } catch (const RunFailure& failure) {
      return failure.reason() + ": " + failure.what();
    }
    return "none";
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(InitialCheckpoint, ThroughALightningFile_TheRunEndsAsIfItHadNotBeenInterrupted) {
  run_training(spec("whole"));
  const auto file = exported();
  const RunResult result = run_training(spec("rest", {"ckpt=" + file.string()}));
  EXPECT_EQ(result.observer.start.first_step(), 4);
  EXPECT_EQ(result.observer.start.checkpoint(), "");
  ASSERT_THAT(result.observer.start.notes(), SizeIs(1));
  EXPECT_THAT(result.observer.start.notes(0), HasSubstr("part.ckpt: 2 epochs and 4 optimizer steps done"));
  ASSERT_THAT(result.observer.steps, SizeIs(4));
  EXPECT_EQ(result.observer.steps[0].step(), 5);
  EXPECT_EQ(result.observer.steps[0].epoch(), 2);
  EXPECT_EQ(final_tensors("rest"), final_tensors("whole"));
  EXPECT_THAT(final_tensors("rest"), SizeIs(3));
}

TEST_F(InitialCheckpoint, FromAnotherRunsFolder_LikewiseAndInTheMiddleOfAnEpoch) {
  run_training(spec("whole"));
  run_training(spec("part", {"max_steps=3"}));
  run_training(spec("rest", {"ckpt=" + folder_.path().string() + "/part"}));
  EXPECT_EQ(final_tensors("rest"), final_tensors("whole"));
  EXPECT_EQ(portable("part").epochs_done, 1);
  EXPECT_EQ(portable("part").epoch_steps, 1);
}

TEST_F(InitialCheckpoint, OtherBatchSize_GoesOnWithTheNextEpoch_TheOptimizerKeepsItsCount) {
  const auto file = exported();
  const RunResult result = run_training(spec("rest", {"ckpt=" + file.string(), "global_batch_size=2"}));
  EXPECT_EQ(result.observer.start.first_step(), 6);  // three steps an epoch
  EXPECT_EQ(result.observer.steps.size(), 6U);
  EXPECT_EQ(result.observer.steps[0].epoch(), 2);
  EXPECT_EQ(portable("rest").optimizer_steps, 4 + 6);
  EXPECT_EQ(portable("rest").epochs_done, 4);
}

TEST_F(InitialCheckpoint, OwnCheckpointsWin) {
  const auto file = exported();
  const v1::JobSpec rest = spec("rest", {"ckpt=" + file.string()});
  run_training(rest, {.stop_after = 6, .stop_checkpoint = true});
  std::filesystem::remove(file);
  const RunResult result = run_training(rest, {.generation = 2});
  EXPECT_GE(result.observer.start.first_step(), 6);
  EXPECT_THAT(result.observer.start.checkpoint(), HasSubstr("/rest/checkpoints/"));
  run_training(spec("whole"));
  EXPECT_EQ(final_tensors("rest"), final_tensors("whole"));
}

TEST_F(InitialCheckpoint, ToValidate_IsTakenWhateverTheRunHas) {
  const auto file = exported();
  const std::vector<std::string> validates = {"no_validate=false", "validate=true", "val_repeat=4"};
  const RunResult part = run_training(spec("part", validates));  // its newest checkpoint
  run_training(spec("rest"));
  std::vector<std::string> named = validates;
  named.push_back("ckpt=" + file.string());
  const RunResult of_file = run_training(spec("rest", named));
  const RunResult of_rest = run_training(spec("rest", validates));
  ASSERT_THAT(part.observer.validations, SizeIs(1));
  ASSERT_THAT(of_file.observer.validations, SizeIs(1));
  ASSERT_THAT(of_rest.observer.validations, SizeIs(1));
  EXPECT_EQ(of_file.observer.validations[0].val_loss(), part.observer.validations[0].val_loss());
  EXPECT_NE(of_file.observer.validations[0].val_loss(), of_rest.observer.validations[0].val_loss());
}

TEST_F(InitialCheckpoint, LostBeforeItsFirstCheckpoint_BeginsWithTheFileAgain) {
  const auto file = exported();
  const v1::JobSpec rest = spec("rest", {"ckpt=" + file.string()});
  run_training(rest, {.stop_after = 5});  // without a checkpoint
  EXPECT_EQ(run_training(rest, {.generation = 2}).observer.start.first_step(), 4);
}

TEST_F(InitialCheckpoint, ManyRanks_BeginAlike) {
  const auto file = exported();
  const RunResult result =
      run_training(spec("rest", {"ckpt=" + file.string(), "workers.max=2"}), {.backend = {"local", 2}});
  EXPECT_EQ(result.observer.start.first_step(), 4);
  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_COMPLETED);
}

TEST_F(InitialCheckpoint, OtherModel_IsRefusedWithEverythingListed) {
  const auto file = exported();
  const std::string text =
      failure_of(spec("rest", {"ckpt=" + file.string(), "num_layers=2", "prediction=noise"}));
  EXPECT_THAT(text, HasSubstr("CheckpointMismatch"));
  EXPECT_THAT(text, HasSubstr("model.num_layers: the checkpoint has 1, the job 2"));
  EXPECT_THAT(text, HasSubstr("transport.prediction: the checkpoint has velocity, the job noise"));
  EXPECT_THAT(text, HasSubstr("weights: missing layers.1.fc1.weight"));
}

TEST_F(InitialCheckpoint, NothingLeftToDo_IsSaid) {
  const auto file = exported();
  EXPECT_THAT(failure_of(spec("rest", {"ckpt=" + file.string(), "epochs=2"})),
              HasSubstr("nothing is left to do"));
  EXPECT_THAT(failure_of(spec("rest", {"ckpt=" + file.string(), "max_steps=4"})),
              HasSubstr("raise epochs or max_steps"));
}

TEST_F(InitialCheckpoint, ExportOfTheAverage_IsRefusedForTraining) {
  const auto file = exported(Weights::kEma);
  EXPECT_THAT(failure_of(spec("rest", {"ckpt=" + file.string()})), HasSubstr("exported with --weights ema"));
}

TEST_F(InitialCheckpoint, WithoutEmaInTheJob_TheAverageIsLeftBehind) {
  const auto file = exported();
  const RunResult result = run_training(spec("rest", {"ckpt=" + file.string(), "ema=false"}));
  EXPECT_THAT(result.observer.start.notes(0), HasSubstr("left behind"));
  EXPECT_TRUE(portable("rest").ema.empty());
}

}  // namespace
}  // namespace mdgen::train
