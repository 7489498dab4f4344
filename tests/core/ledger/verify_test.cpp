#include "core/ledger/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/ledger/small_run.h"

namespace mdgen::ledger {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::SmallRun;

TEST(VerifyLedger, AnHonestRunIsOk) {
  SmallRun run;
  run.steps(1, 6);
  const Verdict verdict = run.verdict();
  EXPECT_THAT(verdict.problems, IsEmpty());
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST(VerifyLedger, ARollbackIsCountedAndTheChainStaysWhole) {
  SmallRun run;
  run.steps(1, 4);
  run.begin(2, 2, "TrainerKilled");
  run.steps(3, 6);
  const Verdict verdict = run.verdict();
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=1 OK");
  EXPECT_EQ(run.lost, 2);
}

TEST(VerifyLedger, AJobThatWentOnFromAnEarlierOneStartsThere) {
  SmallRun run;
  run.writer = Writer();
  run.records.clear();
  run.begin(3, 4, "step-4");
  run.steps(5, 6);
  EXPECT_EQ(run.verdict().summary(), "ledger: steps=2 samples=7 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST(VerifyLedger, FindsAGap) {
  SmallRun run;
  run.steps(1, 2);
  run.steps(4, 6);
  const Verdict verdict = run.verdict();
  EXPECT_EQ(verdict.gaps, 1);
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("generation 1: step 3: missing"));
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
  v1::LedgerRecord again = run.records.back();
  again.set_sequence(again.sequence() + 1);
  run.records.push_back(again);
  const Verdict verdict = run.verdict();
  EXPECT_EQ(verdict.repeats, 6);
  EXPECT_FALSE(verdict.ok());
}

TEST(VerifyLedger, FindsSamplesThatThePlanDoesNotHave) {
  SmallRun run;
  run.steps(1, 5);
  v1::StepReport wrong = run.report(6);
  wrong.set_sample_hash_sum(wrong.sample_hash_sum() + 1);
  run.writer.step(wrong);
  const Verdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("other samples"));
}

TEST(VerifyLedger, FindsAMissingSampleAndAnotherPlan) {
  SmallRun run;
  run.steps(1, 6);
  run.collect();
  run.records.back().set_samples(run.records.back().samples() - 1);
  run.records.back().set_plan_digest("other");
  EXPECT_EQ(run.verdict().problems.size(), 2U);
}

TEST(VerifyLedger, FindsARollbackThatDoesNotFit) {
  SmallRun run;
  run.steps(1, 4);
  run.begin(2, 2, "x");
  for (v1::LedgerRecord& record : run.records)
    if (record.kind() == v1::LEDGER_KIND_ROLLBACK) record.set_from(5);
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
  const Verdict verdict = run.verdict();
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.skipped_steps, 1);
}

v1::StepReport with_bad(v1::StepReport report, const SmallRun& run, std::size_t n) {
  PlannedSamples planned = run.planned();
  const data::StepPlan plan = planned.step(report.step());
  report.set_samples(report.samples() - 1);
  report.set_sample_hash_sum(report.sample_hash_sum() - planned.hash(plan.epoch, plan.samples[n]));
  report.add_bad_samples()->set_virtual_sample(plan.samples[n]);
  return report;
}

TEST(VerifyLedger, BadSamplesAreLeftOutAndCounted) {
  SmallRun run;
  run.steps(1, 3);
  run.writer.step(with_bad(run.report(4), run, 2));
  run.steps(5, 6);
  const Verdict verdict = run.verdict();
  EXPECT_THAT(verdict.problems, IsEmpty());
  EXPECT_EQ(verdict.bad_samples, 1);
  EXPECT_EQ(verdict.details(), "generations=1 skipped_steps=0 bad_samples=1 lost_steps=0");
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=23 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST(VerifyLedger, ABadSampleOfLostStepsIsNotCounted) {
  SmallRun run;
  run.steps(1, 3);
  run.writer.step(with_bad(run.report(4), run, 2));
  run.begin(2, 3, "TrainerKilled");
  run.steps(4, 6);  // it could be read this time
  const Verdict verdict = run.verdict();
  EXPECT_THAT(verdict.problems, IsEmpty());
  EXPECT_EQ(verdict.bad_samples, 0);
  EXPECT_EQ(verdict.samples, 24);
  EXPECT_EQ(verdict.lost_steps, 1);
}

TEST(VerifyLedger, ASampleThatIsLeftOutWithoutARecordIsAProblem) {
  SmallRun run;
  run.steps(1, 3);
  v1::StepReport report = with_bad(run.report(4), run, 2);
  report.clear_bad_samples();
  run.writer.step(report);
  run.steps(5, 6);
  const Verdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("as if step 4 had not used sample"));
  EXPECT_EQ(verdict.gaps, 1);
}

TEST(VerifyLedger, ABadSampleThatTheStepDoesNotHaveIsAProblem) {
  SmallRun run;
  run.steps(1, 5);
  v1::StepReport report = run.report(6);
  report.add_bad_samples()->set_virtual_sample(run.planned().step(4).samples[0]);
  run.writer.step(report);
  const Verdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("is recorded as bad in step 6, whose plan does not have it"));
}

TEST(VerifyLedger, NamesASampleThatWasUsedInPlaceOfAnother) {
  SmallRun run;
  PlannedSamples planned = run.planned();
  const std::uint32_t right = planned.step(5).samples[1];
  const std::uint32_t wrong = planned.step(4).samples[0];
  run.steps(1, 4);
  run.writer.step(run.replaced(5, 1, wrong, 1));
  run.steps(6, 6);
  const Verdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("generation 1: steps 1 to 6"));
  EXPECT_THAT(verdict.problems[0], HasSubstr("as if step 5 had used sample " + planned.name(wrong) +
                                             " in place of " + planned.name(right)));
  EXPECT_EQ(verdict.summary(), "ledger: steps=6 samples=24 repeats=1 gaps=1 rollbacks=0 BROKEN");
}

TEST(VerifyLedger, NamesAStepThatUsedAnothersSamples) {
  SmallRun run;
  run.steps(1, 4);
  v1::StepReport again = run.report(4);
  again.set_step(5);
  run.writer.step(again);
  run.steps(6, 6);
  const Verdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], HasSubstr("as if step 5 had used the samples of step 4"));
  EXPECT_EQ(verdict.repeats, 5);
  EXPECT_EQ(verdict.gaps, 5);
}

TEST(VerifyLedger, ClaimsNothingOfOtherDraws) {
  SmallRun run;
  PlannedSamples planned = run.planned();
  run.steps(1, 4);
  run.writer.step(run.replaced(5, 1, planned.step(5).samples[1], 7));
  run.steps(6, 6);
  const Verdict verdict = run.verdict();
  ASSERT_EQ(verdict.problems.size(), 1U);
  EXPECT_THAT(verdict.problems[0], Not(HasSubstr("as if")));
  EXPECT_EQ(verdict.repeats, 0);
}

TEST(VerifyLedger, ALedgerWithoutAStartIsBroken) {
  SmallRun run;
  run.steps(1, 6);
  run.collect();
  run.records.erase(run.records.begin());
  EXPECT_FALSE(run.verdict().ok());
}

TEST(VerifyLedger, GivesTheSameVerdictWithAnyNumberOfThreads) {
  SmallRun run(100, 60);
  for (std::int64_t step = 1; step <= 3000; ++step)
    run.writer.step(step % 700 == 0 ? run.replaced(step, 0, 5, 90) : run.report(step));
  run.collect();
  const Verdict one = verify(run.records, run.spec, run.manifest, 3000, 1);
  const Verdict four = verify(run.records, run.spec, run.manifest, 3000, 4);
  EXPECT_EQ(one.problems.size(), 3U);
  EXPECT_EQ(one.problems, four.problems);
  EXPECT_EQ(one.summary(), four.summary());
  EXPECT_EQ(one.samples, 15000);
}

}  // namespace
}  // namespace mdgen::ledger
