#include "services/coordinator/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/data/draws.h"
#include "core/data/plan.h"
#include "services/coordinator/ledger_verify.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;

// Three entries four times over, five samples a step, two epochs: 3 steps an epoch, the last of two samples.
struct SmallRun {
  SmallRun() {
    spec.set_seed(11);
    spec.set_global_batch_size(5);
    spec.mutable_optim()->set_batch_size(2);
    spec.mutable_loop()->set_epochs(2);
    spec.mutable_data()->set_train_repeat(4);
    spec.mutable_data()->set_num_frames(8);
    spec.mutable_data()->set_atlas(true);
    spec.mutable_data()->set_crop(10);
    for (int i = 0; i < 3; ++i) {
      auto& entry = *manifest.mutable_train()->add_entries();
      entry.set_name("p" + std::to_string(i));
      entry.set_residues(9 + i);
      for (int replica = 1; replica <= 2; ++replica) entry.add_replicas()->set_frames(20 + i);
    }
    manifest.mutable_train()->set_digest("digest");
    begin(1, 0);
  }

  void begin(std::int64_t generation, std::int64_t applied, const std::string& cause = "") {
    data::RunPlan plan(data::plan_inputs(spec, manifest));
    writer.begin(generation, 2, data::plan_digest(plan.inputs()), applied, cause);
    collect();
  }
  // What honest ranks report of a step.
  v1::StepReport report(std::int64_t step) const {
    data::RunPlan plan(data::plan_inputs(spec, manifest));
    const data::StepPlan planned = plan.step(step - 1);
    v1::StepReport report;
    report.set_step(step);
    report.set_samples(static_cast<int>(planned.samples.size()));
    std::uint64_t sum = 0;
    for (const std::uint32_t sample : planned.samples) {
      const data::DrawKey key{spec.seed(), static_cast<std::uint32_t>(planned.epoch), sample};
      const auto window = data::draw_window(key, manifest.train().entries(static_cast<int>(sample) % 3),
                                            data::window_rules(spec));
      sum += data::sample_hash(key, window, data::draw_flow_time(key));
    }
    report.set_sample_hash_sum(sum);
    return report;
  }
  void steps(std::int64_t first, std::int64_t last) {
    for (std::int64_t step = first; step <= last; ++step) writer.step(report(step));
  }
  void collect() {
    for (const LedgerRecord& record : writer.pending()) {
      const auto known = std::find_if(records.begin(), records.end(), [&](const LedgerRecord& old) {
        return old.sequence == record.sequence;
      });
      if (known == records.end()) {
        records.push_back(record);
      } else {
        *known = record;
      }
    }
    writer.clear_pending();
  }
  LedgerVerdict verdict(std::int64_t end = 6) {
    collect();
    return verify_ledger(records, spec, manifest, end);
  }

  v1::JobSpec spec;
  v1::JobManifest manifest;
  LedgerWriter writer{false, 0, 0};
  std::vector<LedgerRecord> records;
};

TEST(LedgerWriter, ARangeGrowsInPlaceUntilItIsStoredAndAfter) {
  SmallRun run;
  run.steps(1, 2);
  ASSERT_EQ(run.writer.pending().size(), 1U);
  run.collect();
  run.steps(3, 4);
  ASSERT_EQ(run.writer.pending().size(), 1U);
  EXPECT_EQ(run.writer.pending()[0].first_step, 1);
  EXPECT_EQ(run.writer.pending()[0].last_step, 4);
  run.collect();
  EXPECT_EQ(run.records.size(), 2U) << "a start and one range";
}

TEST(LedgerWriter, RangesHaveAGreatestLength) {
  LedgerWriter writer(true, 0, 0);
  v1::StepReport report;
  for (std::int64_t step = 1; step <= 2 * LedgerWriter::kRangeSteps; ++step) {
    report.set_step(step);
    writer.step(report);
  }
  ASSERT_EQ(writer.pending().size(), 2U);
  EXPECT_EQ(writer.pending()[0].last_step, LedgerWriter::kRangeSteps);
}

TEST(VerifyLedger, AnHonestRunIsOk) {
  SmallRun run;
  run.steps(1, 6);
  const LedgerVerdict verdict = run.verdict();
  EXPECT_THAT(verdict.problems, ::testing::IsEmpty());
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST(VerifyLedger, ARollbackIsCountedAndTheChainStaysWhole) {
  SmallRun run;
  run.steps(1, 4);
  run.begin(2, 2, "TrainerKilled");
  run.steps(3, 6);
  const LedgerVerdict verdict = run.verdict();
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=1 OK");
  EXPECT_EQ(run.writer.lost_steps(), 2);
}

TEST(VerifyLedger, AJobThatWentOnFromAnEarlierOneStartsThere) {
  SmallRun run;
  run.writer = LedgerWriter(false, 0, 0);
  run.records.clear();
  run.begin(3, 4, "step-4");
  run.steps(5, 6);
  EXPECT_EQ(run.verdict().summary(), "ledger: steps=2 samples=7 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST(VerifyLedger, FindsAGap) {
  SmallRun run;
  run.steps(1, 2);
  run.steps(4, 6);
  const LedgerVerdict verdict = run.verdict();
  EXPECT_EQ(verdict.gaps, 1);
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("steps 3 to 3 are missing"));
  EXPECT_THAT(verdict.summary(), HasSubstr("BROKEN"));
}

TEST(VerifyLedger, FindsAMissingEnd) {
  SmallRun run;
  run.steps(1, 5);
  EXPECT_EQ(run.verdict().gaps, 1);
  EXPECT_TRUE(run.verdict(5).ok());
}

TEST(VerifyLedger, FindsARepeat) {
  SmallRun run;
  run.steps(1, 6);
  run.collect();
  LedgerRecord again = run.records.back();
  again.sequence += 1;
  run.records.push_back(again);
  const LedgerVerdict verdict = run.verdict();
  EXPECT_EQ(verdict.repeats, 6);
  EXPECT_FALSE(verdict.ok());
}

TEST(VerifyLedger, FindsSamplesThatThePlanDoesNotHave) {
  SmallRun run;
  run.steps(1, 5);
  v1::StepReport wrong = run.report(6);
  wrong.set_sample_hash_sum(wrong.sample_hash_sum() + 1);
  run.writer.step(wrong);
  const LedgerVerdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("other samples"));
}

TEST(VerifyLedger, FindsAMissingSampleAndAnotherPlan) {
  SmallRun run;
  run.steps(1, 6);
  run.collect();
  run.records.back().samples -= 1;
  run.records.back().plan_digest = "other";
  EXPECT_EQ(run.verdict().problems.size(), 2U);
}

TEST(VerifyLedger, FindsARollbackThatDoesNotFit) {
  SmallRun run;
  run.steps(1, 4);
  run.begin(2, 2, "x");
  for (LedgerRecord& record : run.records)
    if (record.kind == LedgerRecord::Kind::kRollback) record.from = 5;
  run.steps(3, 6);
  EXPECT_EQ(run.verdict().problems.size(), 1U);
}

TEST(VerifyLedger, SkippedStepsCountAsUsed) {
  SmallRun run;
  run.steps(1, 3);
  v1::StepReport skipped = run.report(4);
  skipped.set_skipped(true);
  run.writer.step(skipped);
  run.steps(5, 6);
  const LedgerVerdict verdict = run.verdict();
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.skipped, 1);
}

}  // namespace
}  // namespace mdgen::coordinator
