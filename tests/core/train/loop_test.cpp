#include "core/train/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <sstream>

#include "core/checkpoint/store.h"
#include "core/format/npy.h"
#include "core/train/failure.h"
#include "core/train/schedule.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::lines_with;
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

TEST_F(LoopTest, Steps_SayWhereTheirTimeWentAndWhatTheyTook) {
  const RunResult result = run_training(spec("times", {"every_steps=2"}));
  EXPECT_GT(result.observer.start.gemm_ceiling_flops(), 1e8);
  EXPECT_GT(result.observer.compute_seconds, 0);
  ASSERT_THAT(result.observer.steps, SizeIs(8));
  for (const v1::StepReport& report : result.observer.steps) {
    const v1::StepTimes& times = report.times();
    for (const double part :
         {times.data(), times.forward(), times.backward(), times.reduce(), times.optimizer()})
      EXPECT_GT(part, 0) << report.step();
    EXPECT_LE(times.data() + times.forward() + times.backward() + times.reduce() + times.optimizer(),
              report.seconds())
        << report.step();
    EXPECT_EQ(times.checkpoint() > 0, report.step() % 2 == 1 && report.step() > 1)
        << "the step after a snapshot, " << report.step();
    EXPECT_GT(report.flops(), 1e5);
  }
  EXPECT_NE(result.observer.steps[0].flops(), result.observer.steps[1].flops()) << "4 samples and 2";
  EXPECT_EQ(result.observer.steps[0].flops(), result.observer.steps[2].flops());
}

// Each reading is a second after the one before.
class HastyClock : public SystemClock {
 public:
  Steady steady() const override { return Steady() + std::chrono::seconds(++readings_); }

 private:
  mutable std::atomic<std::int64_t> readings_{0};
};

TEST_F(LoopTest, Measuring_LeavesTheCurveAlone) {
  const HastyClock clock;
  run_training(spec("hasty"), {.clock = &clock});
  run_training(spec("plain"));
  EXPECT_EQ(curve_of(spec("hasty")), curve_of(spec("plain")));
  EXPECT_EQ(final_digests("hasty"), final_digests("plain"));
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
  v1::JobSpec spec = this->spec("unwritable", {"every_steps=3"});
  spec.mutable_recovery()->set_hold_for_seconds(0);  // otherwise the last one is tried again for so long
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
    void all_gather_into(at::Tensor output, const at::Tensor& input) override {
      inner_->all_gather_into(std::move(output), input);
    }
    std::unique_ptr<comm::Pending> all_to_all_async(at::Tensor output, comm::Splits output_splits,
                                                    at::Tensor input, comm::Splits input_splits) override {
      return inner_->all_to_all_async(output, output_splits, input, input_splits);
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

TEST_F(LoopTest, SkippedSteps_NameTheirSamples) {
  const v1::JobSpec spec = this->spec("named", {"lr=1e30", "grad_clip=0", "epochs=2"});
  const RunResult result = run_training(spec);
  std::size_t skipped = 0;
  for (const v1::StepReport& step : result.observer.steps) {
    EXPECT_EQ(step.skipped_samples_size(), step.skipped() ? step.samples() : 0);
    for (const v1::SkippedSample& sample : step.skipped_samples()) {
      EXPECT_LT(sample.virtual_sample(), 6U);
      EXPECT_THAT(sample.entry(), ::testing::Not(::testing::IsEmpty()));
    }
    skipped += step.skipped() ? 1U : 0U;
  }
  EXPECT_GT(skipped, 0U);
}

TEST_F(LoopTest, SkippedStepsInARow_AreCountedAcrossAResume) {
  const v1::JobSpec spec = this->spec("row", {"lr=1e30", "grad_clip=0", "epochs=20", "max_skipped_steps=7"});
  RunOptions first;
  first.stop_after = 4;
  first.stop_checkpoint = true;
  EXPECT_EQ(run_training(spec, first).finish.outcome(), v1::OUTCOME_STOPPED);
  EXPECT_TRUE(metrics_of(spec).back().value("skipped", false));
  RunOptions second;
  second.generation = 2;
  std::string text;
  EXPECT_EQ(failure_of([&] { run_training(spec, second); }, text), "NonFiniteGradient");
  EXPECT_THAT(text, HasSubstr("7 steps in a row (optim.max_skipped_steps)"));
  std::size_t skipped = 0;
  for (const auto& line : metrics_of(spec)) skipped += line.value("skipped", false) ? 1U : 0U;
  EXPECT_EQ(skipped, 7U);
}

TEST_F(LoopTest, ValFreq_ValidatesInsideEpochsAndCheckpointsFollow) {
  // A loader batch has 1 sample, a step 4: val_freq 3 is rounded up to a step.
  const v1::JobSpec spec = this->spec(
      "freq", {"no_validate=false", "val_freq=3", "ckpt_freq=2", "val_epoch_freq=2", "keep_last=0"});
  const RunResult result = run_training(spec);
  std::vector<std::int64_t> validated;
  for (const auto& report : result.observer.validations) validated.push_back(report.step());
  EXPECT_THAT(validated, ElementsAre(3, 4, 7, 8));
  std::vector<std::int64_t> written;
  for (const auto& report : result.observer.checkpoints) written.push_back(report.step());
  EXPECT_THAT(written, ElementsAre(3, 4, 7, 8));
}

TEST_F(LoopTest, ValBatches_AreTheFirstOfTheSet) {
  const std::vector<std::string> more = {"no_validate=false", "val_repeat=5", "epochs=1"};
  std::vector<std::string> few = more;
  few.emplace_back("val_batches=2");
  const RunResult all = run_training(spec("all", more));
  const RunResult two = run_training(spec("two", few));
  ASSERT_THAT(two.observer.validations, SizeIs(1));
  EXPECT_EQ(all.observer.validations[0].samples(), 5);
  EXPECT_EQ(two.observer.validations[0].samples(), 2);
  EXPECT_NE(two.observer.validations[0].val_loss(), all.observer.validations[0].val_loss());
  few.emplace_back("workers.max=2");
  const RunResult four = run_training(spec("four", few));
  EXPECT_EQ(four.observer.validations[0].samples(), 4) << "batches of each of two workers";
}

TEST_F(LoopTest, Validate_OfARun_IsItsLastValidationAndTrainsNothing) {
  const v1::JobSpec trained = spec("run", {"no_validate=false", "val_repeat=5"});
  const RunResult run = run_training(trained);
  const std::vector<std::string> weights = final_digests("run");
  const v1::JobSpec alone = spec("run", {"no_validate=false", "val_repeat=5", "validate=true"});
  const RunResult result = run_training(alone);
  EXPECT_EQ(result.finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(result.observer.start.first_step(), 8);
  EXPECT_THAT(result.observer.steps, SizeIs(0));
  EXPECT_THAT(result.observer.checkpoints, SizeIs(0));
  ASSERT_THAT(result.observer.validations, SizeIs(1));
  EXPECT_EQ(result.observer.validations[0].step(), 8);
  EXPECT_EQ(result.observer.validations[0].val_loss(), run.observer.validations.back().val_loss());
  EXPECT_EQ(final_digests("run"), weights);
  EXPECT_THAT(lines_with(alone, "loss"), SizeIs(8));
  EXPECT_THAT(lines_with(alone, "val_loss"), SizeIs(5));
}

TEST_F(LoopTest, Validate_WithoutACheckpoint_TakesInitialWeightsAndKeepsThem) {
  const v1::JobSpec alone = spec("fresh", {"no_validate=false", "validate=true"});
  const RunResult result = run_training(alone);
  EXPECT_EQ(result.observer.start.checkpoint(), "");
  EXPECT_EQ(result.finish.steps_applied(), 0);
  ASSERT_THAT(result.observer.validations, SizeIs(1));
  EXPECT_TRUE(std::isfinite(result.observer.validations[0].val_loss()));
  EXPECT_TRUE(std::filesystem::is_empty(run_folder("fresh") / "checkpoints"));
}

TEST_F(LoopTest, Validation_IsTheSameBitsOnAnyNumberOfRanks) {
  const std::vector<std::string> more = {"no_validate=false", "validate=true", "val_repeat=7",
                                         "batch_size=2"};
  std::set<double> losses;
  for (const int ranks : {1, 2, 3}) {
    RunOptions options;
    options.backend = {"local", ranks};
    const RunResult result = run_training(spec("ranks" + std::to_string(ranks), more), options);
    ASSERT_THAT(result.observer.validations, SizeIs(1));
    EXPECT_EQ(result.observer.validations[0].samples(), 7);
    losses.insert(result.observer.validations[0].val_loss());
  }
  EXPECT_THAT(losses, SizeIs(1));
}

TEST_F(LoopTest, LearningRate_FollowsTheScheduleThroughAResumeBitForBit) {
  const std::vector<std::string> more = {"epochs=6", "lr_schedule=cosine", "warmup_steps=3",
                                         "lr_end_factor=0.1"};
  const v1::JobSpec straight = spec("straight", more);
  const RunResult whole = run_training(straight);
  for (const v1::StepReport& step : whole.observer.steps) {
    EXPECT_EQ(step.lr(), lr_at(straight.optim(), step.step() - 1, 12));
  }
  EXPECT_LT(whole.observer.steps[0].lr(), whole.observer.steps[2].lr());
  EXPECT_NEAR(whole.observer.steps[11].lr(), 0.0003, 1e-12);

  std::vector<std::string> elsewhere = more;
  elsewhere.push_back("work_dir=" + (folder_ / "other").string());
  const v1::JobSpec halves = spec("straight", elsewhere);
  RunOptions first;
  first.stop_after = 5;
  first.stop_checkpoint = true;
  run_training(halves, first);
  RunOptions second;
  second.generation = 2;
  const RunResult resumed = run_training(halves, second);
  EXPECT_THAT(resumed.observer.start.notes(), SizeIs(0));
  EXPECT_EQ(curve_of(straight), curve_of(halves));
  EXPECT_EQ(final_digests("straight"), final_digests("other/straight"));

  run_training(spec("constant", {"epochs=6"}));
  EXPECT_NE(curve_of(straight), curve_of(spec("constant", {"epochs=6"})))
      << "the rate is used, not only told";
}

TEST_F(LoopTest, LearningRate_OfAProlongedRun_FollowsTheNewLengthAndSaysSo) {
  run_training(spec("long", {"lr_schedule=linear"}));
  RunOptions again;
  again.generation = 2;
  const RunResult result = run_training(spec("long", {"lr_schedule=linear", "epochs=6"}), again);
  EXPECT_THAT(result.observer.start.notes(), ElementsAre(HasSubstr("now ends at step 12, not 8")));
  ASSERT_THAT(result.observer.steps, SizeIs(4));
  EXPECT_EQ(result.observer.steps[3].lr(), 0);
  EXPECT_GT(result.observer.steps[0].lr(), 0);
}

TEST_F(LoopTest, EpochLines_AreMeansOverTheEpochsBatchesOfAllRanks) {
  for (const int ranks : {1, 2}) {
    const v1::JobSpec spec = this->spec("epochs" + std::to_string(ranks), {"print_freq=3"});
    RunOptions options;
    options.backend = {"local", ranks};
    const RunResult result = run_training(spec, options);
    const auto& steps = result.observer.steps;
    const auto epochs = lines_with(spec, "train_loss");
    ASSERT_THAT(epochs, SizeIs(4));
    for (std::size_t epoch = 0; epoch < 4; ++epoch) {
      // Micro-batches of one sample: 4 and 2 of them.
      const double mean = (4 * steps[2 * epoch].loss() + 2 * steps[2 * epoch + 1].loss()) / 6;
      EXPECT_NEAR(epochs[epoch]["train_loss"].get<double>(), mean, 1e-6 * mean);
      EXPECT_EQ(epochs[epoch]["train_count"], 6);
      EXPECT_EQ(epochs[epoch]["epoch"], epoch);
      EXPECT_EQ(epochs[epoch]["trainer_step"], 2 * (epoch + 1));
      EXPECT_EQ(epochs[epoch]["iter_step"], 6 * (epoch + 1));
      EXPECT_EQ(epochs[epoch]["lr"], 0.003);
      for (const char* name : {"train_time", "train_dur", "train_model_dur", "train_general_step_dur"}) {
        EXPECT_GT(epochs[epoch][name].get<double>(), 0) << name;
      }
      EXPECT_LT(epochs[epoch]["train_time"].get<double>(), 1);
      EXPECT_FALSE(epochs[epoch].contains("train_loss_discrete")) << "design alone has it";
    }
    const auto iterations = lines_with(spec, "iter_loss");
    ASSERT_THAT(iterations, SizeIs(2));
    EXPECT_EQ(iterations[0]["trainer_step"], 3);
    EXPECT_EQ(iterations[0]["iter_count"], 4 + 2 + 4);
    EXPECT_EQ(iterations[1]["iter_count"], 2 + 4 + 2);
  }
}

TEST_F(LoopTest, EpochLines_OfAResumedRunCoverTheWholeEpoch) {
  const std::vector<std::string> more = {"print_freq=3", "no_validate=false", "train_repeat=9", "epochs=2"};
  const v1::JobSpec straight = spec("straight", more);
  run_training(straight);
  std::vector<std::string> elsewhere = more;
  elsewhere.push_back("work_dir=" + (folder_ / "other").string());
  const v1::JobSpec halves = spec("straight", elsewhere);
  RunOptions first;
  first.stop_after = 2;  // an epoch has five steps
  first.stop_checkpoint = true;
  run_training(halves, first);
  RunOptions second;
  second.generation = 2;
  run_training(halves, second);
  for (const char* name : {"iter", "train", "val"}) {
    const std::string prefix = std::string(name) + "_";
    const auto expected = lines_with(straight, prefix + "loss");
    const auto lines = lines_with(halves, prefix + "loss");
    ASSERT_EQ(lines.size(), expected.size()) << name;
    ASSERT_FALSE(lines.empty());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const std::string& key :
           {prefix + "loss", prefix + "time", prefix + "count", std::string("iter_step")}) {
        EXPECT_EQ(lines[i][key], expected[i][key]) << key;
      }
    }
  }
}

TEST_F(LoopTest, LogOut_HasALineForEveryRecord) {
  const v1::JobSpec spec = this->spec("log", {"no_validate=false", "epochs=2", "print_freq=4"});
  run_training(spec);
  std::istringstream text(read_file(run_folder("log") / "log.out"));
  std::vector<std::string> kinds;
  for (std::string line; std::getline(text, line);) {
    const std::size_t at = line.find("[INFO] {'");
    ASSERT_NE(at, std::string::npos) << line;
    kinds.push_back(line.substr(at + 9, line.find('_', at) - at - 9));
  }
  EXPECT_THAT(kinds, ElementsAre("train", "val", "iter", "train", "val"));
}

TEST_F(LoopTest, TeachingIpa_WritesOneFileAFlowTimeUpToTheLimit) {
  const auto folder = folder_ / "shown";
  run_training(spec("ipa", {"teaching_ipa=" + folder.string(), "teaching_ipa_max=5", "epochs=1"}));
  std::size_t files = 0;
  std::set<std::int64_t> lengths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++files;
    EXPECT_EQ(entry.path().extension(), ".npy");
    const double t = std::stod(entry.path().stem().string());
    EXPECT_GE(t, 0);
    EXPECT_LE(t, 1);
    const format::NpyHeader header = format::read_npy_header(entry.path().string());
    EXPECT_EQ(header.dtype, "<f4");
    ASSERT_THAT(header.shape, SizeIs(3));
    EXPECT_EQ(header.shape[0], 1);
    EXPECT_EQ(header.shape[2], 16);
    lengths.insert(header.shape[1]);
  }
  EXPECT_EQ(files, 5U);
  EXPECT_EQ(lengths, (std::set<std::int64_t>{7, 8})) << "7 residues without padding, 8 of the crop";
}

TEST_F(LoopTest, TeachingIpa_TroubleDoesNotEndTheRunNorChangeIt) {
  write_file_synced(folder_ / "file", "in the way");
  const v1::JobSpec plain = spec("plain");
  run_training(plain);
  const v1::JobSpec troubled = spec("troubled", {"teaching_ipa=" + (folder_ / "file").string()});
  EXPECT_EQ(run_training(troubled).finish.outcome(), v1::OUTCOME_COMPLETED);
  EXPECT_EQ(curve_of(plain), curve_of(troubled));
}

}  // namespace
}  // namespace mdgen::train
