// What the ledger sees of a run: bad samples that are left out, and mistakes that are planted in the data
// path.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "core/checkpoint/store.h"
#include "core/data/dataset.h"
#include "core/ledger/json.h"
#include "core/ledger/planned_samples.h"
#include "core/ledger/verify.h"
#include "core/objective/objective.h"
#include "core/train/bad_samples.h"
#include "core/train/batch_loss.h"
#include "core/train/test_fault.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::curve_of;
using mdgen::testing::lines_with;
using mdgen::testing::run_training;
using mdgen::testing::RunOptions;
using mdgen::testing::RunResult;
using ::testing::EndsWith;
using ::testing::HasSubstr;

// 9 virtual samples an epoch (3 proteins, 3 times), 4 a step in micro-batches of 1: 4, 4 and 1 sample; two
// epochs.
struct UsedSamples : ::testing::Test {
  v1::JobSpec spec(const std::string& name, std::vector<std::string> assignments = {}) {
    assignments.insert(assignments.begin(), {"name=" + name, "epochs=2"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), assignments);
  }
  // Half precision's NaN over a replica's last value; header and size stay.
  void spoil(std::size_t entry, int replica) {
    const auto file = data_.data_dir / (data_.names[entry] + "_R" + std::to_string(replica) + ".npy");
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(0, std::ios::end);
    const auto values = (static_cast<long>(stream.tellp()) - 128) / 2;
    for (long i = 0; i < values; i += 14 * 3) {  // an N of every residue in every frame
      stream.seekp(128 + 2 * i);
      stream.write("\x00\x7e", 2);
    }
  }
  void spoil(std::size_t entry) {
    for (const int replica : {1, 2, 3}) spoil(entry, replica);
  }
  ledger::Verdict verdict(const v1::JobSpec& spec, const RunResult& result) {
    const v1::Assignment assignment = mdgen::testing::assignment_for(spec);
    ledger::Chain chain;
    chain.begin(1, 1, assignment.plan().plan_digest(), 0, "");
    for (const v1::StepReport& report : result.observer.steps) chain.step(report);
    return ledger::verify(chain.records(), spec, assignment.manifest(), assignment.plan().end_step());
  }
  ledger::Verdict checkpoints_verdict(const v1::JobSpec& spec) {
    std::vector<std::string> notes;
    const auto found = checkpoint::newest_good(folder_ / spec.name() / "checkpoints", notes);
    const checkpoint::History history = checkpoint::read_history(found->folder);
    return ledger::verify(ledger::from_json(history.ledger_json), spec,
                          mdgen::testing::assignment_for(spec).manifest(), history.step);
  }
  std::string failure_of(const v1::JobSpec& spec, std::string& text, const RunOptions& options = {}) {
    try {
      run_training(spec, options);
    } catch (const std::exception& error) {
      const FailureText failure = describe_failure(error);
      text = failure.message;
      return failure.reason;
    }
    return "none";
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {5, 7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(UsedSamples, WithoutABadOne_SkipChangesNothing) {
  const v1::JobSpec fails = spec("fails");
  const v1::JobSpec skips = spec("skips", {"on_bad_sample=skip"});
  run_training(fails);
  const RunResult result = run_training(skips);
  EXPECT_EQ(curve_of(fails), curve_of(skips));
  EXPECT_EQ(verdict(skips, result).summary(), "ledger: steps=6 samples=18 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST_F(UsedSamples, BadOnes_AreLeftOutNamedAndKnownToTheLedger) {
  spoil(1);
  const v1::JobSpec spec = this->spec("bad", {"on_bad_sample=skip"});
  const RunResult result = run_training(spec);
  std::size_t bad = 0;
  for (const v1::StepReport& report : result.observer.steps) {
    bad += static_cast<std::size_t>(report.bad_samples_size());
    for (const v1::NamedSample& sample : report.bad_samples()) {
      EXPECT_EQ(sample.virtual_sample() % 3, 1U);
      EXPECT_EQ(sample.entry(), data_.names[1]);
      EXPECT_THAT(sample.reason(), HasSubstr(data_.names[1] + "_R"));
      EXPECT_THAT(sample.reason(), HasSubstr("not finite"));
    }
    EXPECT_EQ(std::isfinite(report.loss()), report.samples() > 0);
  }
  EXPECT_EQ(bad, 6U) << "three an epoch";
  EXPECT_FALSE(lines_with(spec, "bad_samples").empty());
  for (const ledger::Verdict& verdict : {this->verdict(spec, result), checkpoints_verdict(spec)}) {
    EXPECT_THAT(verdict.problems, ::testing::IsEmpty());
    EXPECT_EQ(verdict.bad_samples, 6);
    EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=12 repeats=0 gaps=0 rollbacks=0 OK");
  }
}

// Against the definition, with none of the step's own code.
TEST_F(UsedSamples, LossAndGradient_AreTheMeanOverThoseThatWereUsed) {
  spoil(1);
  const v1::JobSpec spec = this->spec("mean", {"on_bad_sample=skip", "max_steps=1"});
  const v1::StepReport report = run_training(spec).observer.steps.at(0);
  ASSERT_GT(report.bad_samples_size(), 0);
  ASSERT_GT(report.samples(), 0);

  const v1::Assignment assignment = mdgen::testing::assignment_for(spec);
  const data::Dataset dataset(spec, assignment.manifest().train(), objective::latent_channels(spec.model()));
  RunState state(spec, at::kCPU);
  state.model()->train();
  const SystemClock clock;
  BatchLosses losses(state, spec, clock);
  at::Tensor sum = at::zeros({});
  int used = 0;
  data::RunPlan plan(data::plan_inputs(spec, assignment.manifest()));
  for (const std::uint32_t sample : plan.step(0).samples) {
    if (sample % 3 == 1) continue;
    sum = sum + losses(dataset.load(0, {sample})).sum;
    ++used;
  }
  const at::Tensor mean = sum / used;
  mean.backward();
  double square = 0;
  for (const auto& [name, parameter] : state.parameters()) {
    if (parameter.grad().defined()) square += parameter.grad().pow(2).sum().item<double>();
  }
  EXPECT_EQ(report.samples(), used);
  EXPECT_NEAR(report.loss(), mean.item<double>(), 1e-5 * std::abs(report.loss()));
  EXPECT_NEAR(report.grad_norm(), std::sqrt(square), 1e-4 * report.grad_norm());
}

TEST_F(UsedSamples, BadOnes_AreTheSameOnAnyNumberOfRanks) {
  spoil(1);
  const RunResult one = run_training(spec("one", {"on_bad_sample=skip"}));
  for (const int ranks : {2, 3}) {
    RunOptions options;
    options.backend = {"local", ranks};
    const v1::JobSpec spec = this->spec("on-" + std::to_string(ranks), {"on_bad_sample=skip"});
    const RunResult several = run_training(spec, options);
    ASSERT_EQ(several.observer.steps.size(), one.observer.steps.size());
    for (std::size_t i = 0; i < one.observer.steps.size(); ++i) {
      const v1::StepReport& a = one.observer.steps[i];
      const v1::StepReport& b = several.observer.steps[i];
      EXPECT_EQ(a.samples(), b.samples());
      EXPECT_EQ(a.sample_hash_sum(), b.sample_hash_sum());
      ASSERT_EQ(a.bad_samples_size(), b.bad_samples_size());
      for (int k = 0; k < a.bad_samples_size(); ++k)
        EXPECT_EQ(a.bad_samples(k).ShortDebugString(), b.bad_samples(k).ShortDebugString());
      if (a.samples() == 0) continue;
      EXPECT_NEAR(a.loss(), b.loss(), 1e-4 * std::abs(a.loss()));
      EXPECT_NEAR(a.grad_norm(), b.grad_norm(), 1e-3 * a.grad_norm());
    }
    EXPECT_TRUE(verdict(spec, several).ok());
  }
}

TEST_F(UsedSamples, AStepOfBadOnesAlone_IsSkipped) {
  spoil(1);
  const v1::JobSpec spec = this->spec("single", {"on_bad_sample=skip", "global_batch_size=1"});
  const RunResult result = run_training(spec);
  int skipped = 0;
  for (const v1::StepReport& report : result.observer.steps) {
    EXPECT_EQ(report.skipped(), report.samples() == 0);
    skipped += report.skipped() ? 1 : 0;
  }
  EXPECT_EQ(skipped, 6);
  const ledger::Verdict verdict = this->verdict(spec, result);
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.skipped_steps, 6);
  EXPECT_EQ(verdict.samples, 12);
}

TEST_F(UsedSamples, MoreThanHalfOfAnEpochBad_FailsTheRun) {
  spoil(0);
  spoil(1);
  std::string text;
  EXPECT_EQ(failure_of(spec("most", {"on_bad_sample=skip"}), text), "TooManyBadSamples");
  EXPECT_THAT(text, HasSubstr("of the 9 samples of epoch 0"));
  EXPECT_THAT(text, HasSubstr("not finite"));
}

TEST_F(UsedSamples, ByDefault_TheFirstBadOneFailsTheRunByName) {
  spoil(1);
  std::string text;
  EXPECT_EQ(failure_of(spec("fails"), text), "DataLoss");
  EXPECT_THAT(text, HasSubstr(data_.names[1] + "_R"));
  EXPECT_THAT(text, HasSubstr("not finite"));
}

TEST_F(UsedSamples, Validation_LeavesThemOutToo) {
  spoil(0, 2);
  const v1::JobSpec spec = this->spec("val", {"on_bad_sample=skip", "no_validate=false", "val_repeat=12"});
  const RunResult result = run_training(spec);
  ASSERT_FALSE(result.observer.validations.empty());
  const v1::ValidationReport& report = result.observer.validations[0];
  EXPECT_GT(report.bad_samples_size(), 0) << "of twelve draws of three replicas";
  EXPECT_EQ(report.samples() + report.bad_samples_size(), 12);
  EXPECT_TRUE(std::isfinite(report.val_loss()));
  EXPECT_THAT(report.bad_samples(0).reason(), HasSubstr(data_.names[0] + "_R2.npy"));
  EXPECT_TRUE(lines_with(spec, "val_loss")[0].contains("bad_samples"));
}

TEST(CountBadSamples, BeginsAnewWithEachEpoch) {
  LoopState loop;
  v1::StepReport report;
  report.set_epoch(3);
  for (int i = 0; i < 5; ++i) report.add_bad_samples()->set_reason("x.npy");
  EXPECT_FALSE(count_bad_samples(loop, report, 10)) << "half";
  report.set_epoch(4);
  EXPECT_FALSE(count_bad_samples(loop, report, 10));
  EXPECT_EQ(loop_state_from_json(to_json(loop)), loop);
  EXPECT_EQ(count_bad_samples(loop, report, 10)->reason(), "TooManyBadSamples");
}

TEST(ParseTestFaults, KindPointStepRankAndAttempt) {
  using Kind = TestFault::Kind;
  EXPECT_THAT(parse_test_faults(""), ::testing::IsEmpty());
  EXPECT_THAT(parse_test_faults("wrong_window@7"),
              ::testing::ElementsAre(TestFault{Kind::kWrongWindow, 7, 0}));
  EXPECT_THAT(
      parse_test_faults("repeat_step@12:3,kill.after_reduce@2:1:4,hang@5:0:always"),
      ::testing::ElementsAre(
          TestFault{Kind::kRepeatStep, 12, 3},
          TestFault{
              .kind = Kind::kKill, .step = 2, .rank = 1, .attempt = 4, .point = FaultPoint::kAfterReduce},
          TestFault{.kind = Kind::kHang, .step = 5, .always = true}));
  EXPECT_EQ(to_text(parse_test_faults("kill.heal_send@2:1:4").front()), "kill.heal_send@2:1:4");
  for (const char* text : {"wrong_sample", "wrong_sample@", "wrong_sample@0", "other@3", "wrong_sample@3:",
                           "@3", "wrong_sample@3x", "wrong_sample@3:-1", "kill.somewhere@3",
                           "flip_bit.mid_reduce@3", "kill@3:1:0", "kill@3:1:x", "kill@3,,kill@4"})
    EXPECT_THROW(parse_test_faults(text), Error) << text;
}

// Mistakes in what is read, not in what is reported: the step's own checks do not see them.
TEST_F(UsedSamples, PlantedMistakes_AreFoundByTheLedgerAlone) {
  struct Case {
    const char* fault;
    const char* found;
  };
  const std::vector<Case> cases = {{"wrong_sample@2", "as if step 2 had used sample"},
                                   {"repeat_sample@5", "as if step 5 had used sample"},
                                   {"skip_sample@4", "as if step 4 had used sample"},
                                   {"wrong_window@2", "other samples or draws"},
                                   {"repeat_step@5", "as if step 5 had used the samples of step 4"},
                                   {"wrong_sample@1:1", "as if step 1 had used sample"}};
  for (const Case& planted : cases) {
    ::setenv("MDGEN_TEST_FAULT", planted.fault, 1);
    RunOptions options;
    options.backend = {"local", 2};
    std::string name = planted.fault;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '@' || c == ':'; }, '-');
    const v1::JobSpec spec = this->spec(name);
    const RunResult result = run_training(spec, options);
    ::unsetenv("MDGEN_TEST_FAULT");
    for (const v1::StepReport& report : result.observer.steps)
      EXPECT_EQ(report.samples(), report.step() % 3 == 0 ? 1 : 4);
    for (const ledger::Verdict& verdict : {this->verdict(spec, result), checkpoints_verdict(spec)}) {
      ASSERT_EQ(verdict.problems.size(), 1U) << planted.fault;
      EXPECT_THAT(verdict.problems[0], HasSubstr("generation 1: steps 1 to 6")) << planted.fault;
      EXPECT_THAT(verdict.problems[0], HasSubstr(planted.found)) << planted.fault;
      EXPECT_THAT(verdict.summary(), EndsWith("BROKEN"));
    }
  }
}

TEST_F(UsedSamples, TheLedgerOfACheckpointGoesOnThroughAResume) {
  const v1::JobSpec spec = this->spec("resumed");
  RunOptions first;
  first.stop_after = 2;
  first.stop_checkpoint = true;
  run_training(spec, first);
  RunOptions second;
  second.generation = 2;
  second.require_checkpoint = true;
  const RunResult result = run_training(spec, second);
  EXPECT_FALSE(result.observer.start.ledger().empty());
  const ledger::Verdict verdict = checkpoints_verdict(spec);
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=18 repeats=0 gaps=0 rollbacks=0 OK");
  EXPECT_EQ(verdict.generations, 2);
}

}  // namespace
}  // namespace mdgen::train
