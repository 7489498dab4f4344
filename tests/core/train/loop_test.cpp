#include "core/train/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/store.h"
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// 6 virtual samples an epoch (2 proteins, 3 times), 4 a step: steps of 4 and 2 samples, 8 steps in 4 epochs.
class LoopTest : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.push_back("name=" + name);
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }
  std::filesystem::path run_folder(const std::string& name) const { return folder_ / name; }

  std::vector<std::string> final_digests(const std::string& name) const {
    std::vector<std::string> notes;
    const auto found = checkpoint::newest_good(run_folder(name) / "checkpoints", notes);
    std::vector<std::string> digests{found->folder.filename().string().substr(0, 14)};
    for (const auto& file : found->manifest.files) {
      if (file.name.ends_with(".safetensors")) digests.push_back(file.name + " " + file.sha256);
    }
    return digests;
  }
  std::string failure_of(const std::function<void()>& body, std::string& text) {
    try {
      body();
    } catch (const RunFailure& failure) {
      text = failure.what();
      return failure.reason();
    }
    return "none";
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(LoopTest, Run_ToItsEnd_ReportsEveryStepAndAVerifiedCheckpoint) {
  const v1::JobSpec spec = this->spec("whole");
  const RunResult result = run_training(spec);

  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(result.finish.steps_applied(), 8);
  EXPECT_EQ(result.observer.start.first_step(), 0);
  EXPECT_EQ(result.observer.start.checkpoint(), "");
  EXPECT_GT(result.observer.start.parameters(), 1000);
  ASSERT_THAT(result.observer.steps, SizeIs(8));
  for (std::int64_t i = 0; i < 8; ++i) {
    const v1::StepReport& step = result.observer.steps[static_cast<std::size_t>(i)];
    EXPECT_EQ(step.step(), i + 1);
    EXPECT_EQ(step.epoch(), i / 2);
    EXPECT_EQ(step.samples(), i % 2 == 0 ? 4 : 2);
    EXPECT_TRUE(std::isfinite(step.loss()));
    EXPECT_GT(step.grad_norm(), 0);
    EXPECT_FALSE(step.skipped());
    EXPECT_GT(step.sample_hash_sum(), 0U);
  }
  ASSERT_THAT(result.observer.checkpoints, SizeIs(1));
  EXPECT_EQ(result.observer.checkpoints[0].step(), 8);
  EXPECT_TRUE(result.observer.checkpoints[0].verified());
  const auto manifest = checkpoint::verify(result.observer.checkpoints[0].folder());
  EXPECT_EQ(manifest.summary.step, 8);
  EXPECT_EQ(manifest.summary.epoch, 3);
  EXPECT_EQ(manifest.summary.samples, 24);
}

TEST_F(LoopTest, Metrics_AreWhatWasReported) {
  const v1::JobSpec spec = this->spec("metrics");
  const RunResult result = run_training(spec);
  const auto lines = metrics_of(spec);
  ASSERT_EQ(lines.size(), result.observer.steps.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const v1::StepReport& step = result.observer.steps[i];
    EXPECT_EQ(lines[i]["step"], step.step());
    EXPECT_EQ(lines[i]["loss"].get<double>(), step.loss());
    EXPECT_EQ(lines[i]["grad_norm"].get<double>(), step.grad_norm());
    EXPECT_EQ(lines[i]["tokens"], step.tokens());
  }
}

TEST_F(LoopTest, Wandb_WritesTensorBoardEventsToo) {
  run_training(spec("with", {"wandb=true", "no_validate=false"}));
  run_training(spec("without"));
  EXPECT_FALSE(std::filesystem::exists(run_folder("without") / "tensorboard"));
  std::string events;
  for (const auto& entry : std::filesystem::directory_iterator(run_folder("with") / "tensorboard")) {
    events += read_file(entry.path());
  }
  for (const char* tag : {"loss", "grad_norm", "lr", "tokens_per_second", "epoch", "train_loss", "val_loss",
                          "val_time", "trainer_step"}) {
    EXPECT_THAT(events, HasSubstr(tag));
  }
}

TEST_F(LoopTest, Training_LowersTheLoss) {
  const v1::JobSpec spec = this->spec("learn", {"epochs=40", "lr=0.01"});
  const auto lines = metrics_of((run_training(spec), spec));
  double first = 0;
  double last = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    first += lines[i]["loss"].get<double>();
    last += lines[lines.size() - 1 - i]["loss"].get<double>();
  }
  EXPECT_LT(last, 0.8 * first);
}

TEST_F(LoopTest, Resume_AfterAStopWithCheckpoint_RepeatsTheUninterruptedRunBitForBit) {
  const std::vector<std::string> more = {"epochs=6", "no_validate=false", "val_epoch_freq=2"};
  const v1::JobSpec straight = spec("straight", more);
  run_training(straight);

  const v1::JobSpec halves = spec("straight", {"epochs=6", "no_validate=false", "val_epoch_freq=2",
                                               "work_dir=" + (folder_ / "other").string()});
  RunOptions first;
  first.stop_after = 5;
  first.stop_checkpoint = true;
  const RunResult stopped = run_training(halves, first);
  EXPECT_EQ(stopped.finish.outcome(), v1::OUTCOME_STOPPED);
  const std::int64_t at = stopped.finish.steps_applied();
  EXPECT_GT(at, 5);
  EXPECT_LT(at, 9);
  RunOptions second;
  second.generation = 2;
  second.require_checkpoint = true;
  const RunResult resumed = run_training(halves, second);
  EXPECT_EQ(resumed.finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(resumed.observer.start.first_step(), at);
  EXPECT_THAT(resumed.observer.start.checkpoint(), HasSubstr("checkpoints/step-"));

  EXPECT_EQ(curve_of(straight), curve_of(halves));
  EXPECT_THAT(curve_of(straight), SizeIs(12 + 3));
  EXPECT_EQ(final_digests("straight"), final_digests("other/straight"));
}

TEST_F(LoopTest, Resume_AfterAStopWithoutCheckpoint_DropsTheLinesBeyondTheLastOne) {
  const v1::JobSpec straight = spec("straight");
  run_training(straight);
  const v1::JobSpec cut = spec("cut", {"every_steps=4"});
  RunOptions first;
  first.stop_after = 5;
  EXPECT_EQ(run_training(cut, first).finish.outcome(), v1::OUTCOME_STOPPED);
  EXPECT_GT(metrics_of(cut).size(), 5U);
  RunOptions second;
  second.generation = 2;
  const RunResult resumed = run_training(cut, second);
  EXPECT_EQ(resumed.observer.start.first_step(), 4);
  EXPECT_THAT(resumed.observer.start.notes(), ElementsAre(HasSubstr("lines after step 4 dropped")));
  EXPECT_EQ(curve_of(straight), curve_of(cut));
  EXPECT_EQ(final_digests("straight"), final_digests("cut"));
}

TEST_F(LoopTest, Resume_OfAFinishedRun_EndsAtOnce) {
  const v1::JobSpec spec = this->spec("done");
  run_training(spec);
  RunOptions again;
  again.generation = 2;
  const RunResult result = run_training(spec, again);
  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(result.finish.steps_applied(), 8);
  EXPECT_THAT(result.observer.steps, SizeIs(0));
  EXPECT_THAT(metrics_of(spec), SizeIs(8));
}

TEST_F(LoopTest, Resume_CorruptNewestCheckpoint_TakesTheOneBeforeAndSaysSo) {
  const v1::JobSpec spec = this->spec("corrupt", {"every_steps=3"});
  run_training(spec);
  const auto newest = run_folder("corrupt") / "checkpoints" / "step-000000008-g0001" / "model.safetensors";
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 1);
  RunOptions again;
  again.generation = 2;
  const RunResult result = run_training(spec, again);
  EXPECT_EQ(result.observer.start.first_step(), 6);
  ASSERT_GE(result.observer.start.notes_size(), 1);
  EXPECT_THAT(result.observer.start.notes(0), HasSubstr("step-000000008-g0001"));
  EXPECT_THAT(metrics_of(spec), SizeIs(8));
}

TEST_F(LoopTest, Resume_CorruptNewestCheckpoint_InANewJob_IsWrittenAgain) {
  const v1::JobSpec spec = this->spec("again", {"every_steps=3"});
  run_training(spec);
  const std::vector<std::string> whole = final_digests("again");
  const auto newest = run_folder("again") / "checkpoints" / "step-000000008-g0001" / "model.safetensors";
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 1);
  const RunResult result = run_training(spec);  // a new job's generations begin at 1 as well
  EXPECT_EQ(result.observer.start.first_step(), 6);
  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(final_digests("again"), whole);
}

TEST_F(LoopTest, Checkpoint_ThatCannotBeWritten_FailsTheRunByItsOwnReason) {
  const v1::JobSpec spec = this->spec("unwritable", {"every_steps=3"});
  RunOptions options;
  options.on_step = [&](const v1::StepReport& report) {
    if (report.step() != 2) return;
    std::filesystem::remove_all(run_folder("unwritable") / "checkpoints");
    write_file_synced(run_folder("unwritable") / "checkpoints", "in the way");
  };
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec, options); }, text), "CheckpointFailed");
  EXPECT_THAT(text, HasSubstr((run_folder("unwritable") / "checkpoints").string()));
}

TEST_F(LoopTest, Metrics_ThatCannotBeWritten_FailTheRunByTheirOwnReason) {
  std::filesystem::create_directories(run_folder("unwritable") / "metrics.jsonl");
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec("unwritable")); }, text), "MetricsFailed");
  EXPECT_THAT(text, HasSubstr((run_folder("unwritable") / "metrics.jsonl").string()));
}

TEST_F(LoopTest, Events_ThatCannotBeWritten_SayWhy) {
  std::filesystem::create_directories(run_folder("events"));
  write_file_synced(run_folder("events") / "tensorboard", "in the way");
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec("events", {"wandb=true"})); }, text), "MetricsFailed");
  EXPECT_THAT(text, HasSubstr("events.out.tfevents"));
  EXPECT_THAT(text, HasSubstr("Not a directory"));
}

TEST_F(LoopTest, Resume_WithAnotherLearningRate_NamesTheField) {
  run_training(spec("mismatch"));
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec("mismatch", {"lr=0.5"})); }, text), "CheckpointMismatch");
  EXPECT_THAT(text, HasSubstr("optim.lr: 0.003 -> 0.5"));
}

TEST_F(LoopTest, Resume_RequiredOnAnEmptyFolder_Fails) {
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec("none", {"resume=require"})); }, text), "CheckpointRequired");
}

TEST_F(LoopTest, Stop_WithoutCheckpoint_LeavesNone) {
  RunOptions options;
  options.stop_after = 2;
  const RunResult result = run_training(spec("stop"), options);
  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_STOPPED);
  EXPECT_THAT(result.observer.checkpoints, SizeIs(0));
  EXPECT_EQ(result.observer.steps.back().step(), result.finish.steps_applied());
}

TEST_F(LoopTest, Validation_HasTheSameDrawsEachTime) {
  const v1::JobSpec spec =
      this->spec("validate", {"no_validate=false", "val_repeat=5", "val_epoch_freq=1", "lr=0", "epochs=2"});
  const RunResult result = run_training(spec);
  ASSERT_THAT(result.observer.validations, SizeIs(2));
  EXPECT_EQ(result.observer.validations[0].samples(), 5);
  EXPECT_EQ(result.observer.validations[0].val_loss(), result.observer.validations[1].val_loss());
  EXPECT_EQ(result.observer.validations[0].step(), 2);
  EXPECT_EQ(result.observer.validations[1].step(), 4);
}

TEST_F(LoopTest, Validation_LeavesTrainingAlone) {
  const v1::JobSpec without = spec("a");
  const v1::JobSpec with = spec("a", {"no_validate=false", "work_dir=" + (folder_ / "other").string()});
  const RunResult plain = run_training(without);
  const RunResult validated = run_training(with);
  ASSERT_EQ(plain.observer.steps.size(), validated.observer.steps.size());
  for (std::size_t i = 0; i < plain.observer.steps.size(); ++i) {
    EXPECT_EQ(plain.observer.steps[i].loss(), validated.observer.steps[i].loss());
  }
  EXPECT_EQ(final_digests("a"), final_digests("other/a"));
}

TEST_F(LoopTest, Validation_UsesTheMovingAverage) {
  const std::vector<std::string> more = {"no_validate=false", "epochs=2", "ema_decay=1"};
  const RunResult average = run_training(spec("average", more));  // stays at the initial weights
  const RunResult own = run_training(spec("own", {"no_validate=false", "epochs=2", "ema=false"}));
  ASSERT_THAT(average.observer.validations, SizeIs(2));
  ASSERT_THAT(own.observer.validations, SizeIs(2));
  EXPECT_EQ(average.observer.validations[0].val_loss(), average.observer.validations[1].val_loss());
  EXPECT_NE(own.observer.validations[0].val_loss(), own.observer.validations[1].val_loss());
}

TEST_F(LoopTest, StepThatLostASample_FailsTheRun) {
  // The first value but the loss in the step's small all-reduce counts samples (core/train/step_sync.cpp).
  class Forgetful : public comm::Collective {
   public:
    int rank() const override { return inner_->rank(); }
    int world_size() const override { return inner_->world_size(); }
    bool supports_abort() const override { return inner_->supports_abort(); }
    std::unique_ptr<comm::Pending> all_reduce_async(at::Tensor tensor) override {
      if (tensor.scalar_type() == at::kDouble) tensor[1] -= 1;
      return inner_->all_reduce_async(tensor);
    }
    void broadcast(at::Tensor tensor, int root) override { inner_->broadcast(tensor, root); }
    std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
      return inner_->all_gather(tensor);
    }
    void barrier() override { inner_->barrier(); }
    void abort(const std::string& reason) override { inner_->abort(reason); }

   private:
    std::unique_ptr<comm::Collective> inner_ = std::move(comm::make_local_group(1).front());
  };
  const v1::Assignment assignment = mdgen::testing::assignment_for(spec("lost"));
  std::string text;
  EXPECT_EQ(failure_of(
                [&] {
                  Forgetful collective;
                  mdgen::testing::RecordingObserver observer;
                  const RunControl control;
                  run(assignment, collective, at::kCPU, observer, control, SystemClock());
                },
                text),
            "SamplesMissing");
  EXPECT_EQ(text, "step 1 used 3 samples on all ranks, but its plan has 4");
}

TEST_F(LoopTest, NonFiniteGradients_AreSkippedThenFailTheRun) {
  const v1::JobSpec spec = this->spec("nan", {"lr=1e30", "grad_clip=0", "epochs=20"});
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec); }, text), "NonFiniteGradient");
  EXPECT_THAT(text, HasSubstr("10 steps in a row"));
  EXPECT_THAT(text, HasSubstr("virtual samples"));
  std::size_t skipped = 0;
  for (const auto& line : metrics_of(spec)) skipped += line.value("skipped", false) ? 1U : 0U;
  EXPECT_EQ(skipped, 10U);
}

TEST_F(LoopTest, OtherPlanDigest_IsRefusedNamingBoth) {
  v1::Assignment assignment = mdgen::testing::assignment_for(spec("plan"));
  const std::string ours = assignment.plan().plan_digest();
  assignment.mutable_plan()->set_plan_digest("0123");
  std::string text;
  EXPECT_EQ(failure_of(
                [&] {
                  const auto group = comm::make_local_group(1);
                  mdgen::testing::RecordingObserver observer;
                  const RunControl control;
                  run(assignment, *group[0], at::kCPU, observer, control, SystemClock());
                },
                text),
            "PlanMismatch");
  EXPECT_THAT(text, HasSubstr("0123"));
  EXPECT_THAT(text, HasSubstr(ours));
}

TEST_F(LoopTest, ReaderThreads_DoNotChangeTheRun) {
  const v1::JobSpec none = spec("none", {"num_workers=0"});
  const v1::JobSpec three = spec("three", {"num_workers=3"});
  run_training(none);
  run_training(three);
  EXPECT_EQ(curve_of(none), curve_of(three));
  EXPECT_EQ(final_digests("none"), final_digests("three"));
}

}  // namespace
}  // namespace mdgen::train
