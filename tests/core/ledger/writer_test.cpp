#include "core/ledger/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/base/error.h"
#include "core/ledger/json.h"
#include "tests/core/ledger/small_run.h"

namespace mdgen::ledger {
namespace {

using testing::SmallRun;

std::vector<std::string> serialized(const Records& records) {
  std::vector<std::string> texts;
  for (const v1::LedgerRecord& record : records) texts.push_back(record.ShortDebugString());
  return texts;
}

TEST(LedgerWriter, ARangeGrowsInPlaceUntilItIsStoredAndAfter) {
  SmallRun run;
  run.steps(1, 2);
  ASSERT_EQ(run.writer.pending().size(), 1U);
  run.collect();
  run.steps(3, 4);
  ASSERT_EQ(run.writer.pending().size(), 1U);
  EXPECT_EQ(run.writer.pending()[0].first_step(), 1);
  EXPECT_EQ(run.writer.pending()[0].last_step(), 4);
  run.collect();
  EXPECT_EQ(run.records.size(), 2U) << "a start and one range";
}

TEST(LedgerWriter, RangesHaveAGreatestLength) {
  Writer writer;
  v1::StepReport report;
  for (std::int64_t step = 1; step <= 2 * Writer::kRangeSteps; ++step) {
    report.set_step(step);
    writer.step(report);
  }
  ASSERT_EQ(writer.pending().size(), 2U);
  EXPECT_EQ(writer.pending()[0].last_step(), Writer::kRangeSteps);
}

TEST(LedgerWriter, ARepetitionAfterALostConnectionIsIgnored) {
  SmallRun run;
  run.steps(1, 4);
  run.steps(2, 6);
  EXPECT_TRUE(run.verdict().ok());
}

TEST(LedgerWriter, StepsThatWerePutTogetherContinueARange) {
  SmallRun run;
  run.steps(1, 2);
  run.writer.step(run.report(3, 5));
  EXPECT_EQ(run.writer.unsaved_steps(), 5);
  run.steps(6, 6);
  ASSERT_EQ(run.writer.pending().size(), 1U);
  EXPECT_EQ(run.verdict().summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=0 OK");
}

TEST(LedgerWriter, ANewCoordinatorGoesOnWhereTheStoreEnds) {
  SmallRun run;
  run.steps(1, 3);
  run.collect();
  EXPECT_EQ(position_of(run.records).last_step, 3);
  run.writer = Writer(position_of(run.records));
  run.writer.go_on(1, 2, run.planned().digest());
  run.steps(3, 6);
  run.collect();
  EXPECT_EQ(run.records.size(), 3U) << "a start and two ranges";
  EXPECT_TRUE(run.verdict().ok());
}

// The coordinator was restarted before the first trainer had said where it starts.
TEST(LedgerWriter, AGenerationThatNeverStartedLeavesNothing) {
  Writer writer;
  writer.go_on(1, 2, "plan");
  EXPECT_THAT(writer.pending(), ::testing::IsEmpty());
  writer.begin(2, 2, "plan", 50, "step-50");
  ASSERT_EQ(writer.pending().size(), 1U);
  EXPECT_EQ(writer.pending()[0].kind(), v1::LEDGER_KIND_START);
  EXPECT_EQ(writer.pending()[0].to(), 50);
}

// The agent of rank 0 died with reports that a checkpoint's steps had made.
TEST(LedgerWriter, WhatNobodyReportedIsTakenFromTheCheckpoint) {
  SmallRun theirs;
  theirs.steps(1, 5);
  theirs.collect();
  SmallRun ours;
  ours.steps(1, 2);
  ours.collect();
  ours.begin(2, 5, "WorkerLost", theirs.records);
  ours.steps(6, 6);
  EXPECT_EQ(ours.verdict().summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=0 OK");
  EXPECT_EQ(ours.records.back().first_step(), 6);
}

TEST(LedgerWriter, AlsoWhenTheGenerationHadRolledBackAndWasCutByARestart) {
  SmallRun theirs;
  theirs.steps(1, 2);
  theirs.begin(2, 2);
  theirs.steps(3, 6);
  theirs.collect();

  SmallRun ours;
  ours.steps(1, 4);
  ours.begin(2, 2, "TrainerKilled");
  ours.steps(3, 3);
  ours.writer.end_range();
  ours.steps(4, 4);
  ours.collect();
  ours.writer = Writer(position_of(ours.records));
  ours.begin(3, 6, "WorkerLost", theirs.records);
  EXPECT_EQ(ours.verdict().summary(), "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=1 OK");
}

// A coordinator that has lost its store, or another job in the same run folder.
TEST(LedgerWriter, AnEmptyLedgerTakesOverTheCheckpoints) {
  SmallRun theirs;
  theirs.steps(1, 2);
  theirs.begin(2, 1, "TrainerKilled");
  theirs.steps(2, 4);
  theirs.collect();
  Writer writer;
  EXPECT_EQ(writer.begin(7, 2, theirs.planned().digest(), 4, "step-4", theirs.records), 0);
  writer.step(theirs.report(5));
  writer.step(theirs.report(6));
  EXPECT_EQ(writer.last_step(), 6);
  EXPECT_EQ(verify(writer.pending(), theirs.spec, theirs.manifest, 6).summary(),
            "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=1 OK");
  EXPECT_EQ(writer.pending().back().generation(), 7);

  Writer other;
  other.begin(7, 2, theirs.planned().digest(), 3, "step-3", theirs.records);
  ASSERT_EQ(other.pending().size(), 1U) << "one that does not end where the job begins says nothing of it";
  EXPECT_EQ(other.pending()[0].kind(), v1::LEDGER_KIND_START);
}

TEST(LedgerWriter, ACheckpointWithoutALedgerLeavesAGap) {
  SmallRun run;
  run.steps(1, 2);
  run.begin(2, 5, "WorkerLost");
  run.steps(6, 6);
  EXPECT_EQ(run.verdict().gaps, 3);
}

TEST(LedgerChain, GoesOnFromACheckpointsAndIsWhole) {
  SmallRun run;
  Chain first;
  first.begin(1, 2, run.planned().digest(), 0, "");
  for (int step = 1; step <= 4; ++step) first.step(run.report(step));
  const std::string saved = to_json(first.records()).dump();

  Chain second(from_json(saved), 4);
  second.begin(2, 2, run.planned().digest(), 4, "step-4");
  for (int step = 5; step <= 6; ++step) second.step(run.report(step));
  EXPECT_EQ(verify(second.records(), run.spec, run.manifest, 6).summary(),
            "ledger: steps=6 samples=24 repeats=0 gaps=0 rollbacks=0 OK");

  Chain older({}, 4);  // a checkpoint of a version that kept none
  older.begin(2, 2, run.planned().digest(), 4, "step-4");
  older.step(run.report(5));
  EXPECT_EQ(verify(older.records(), run.spec, run.manifest, 5).first_step, 4);
}

TEST(LedgerJson, ReadsWhatItWrites) {
  SmallRun run;
  v1::StepReport report = run.report(1);
  report.set_sample_hash_sum(0xFFFF'FFFF'FFFF'FFFEULL);
  report.set_loss(std::numeric_limits<double>::quiet_NaN());
  report.set_skipped(true);
  report.add_skipped_samples()->set_virtual_sample(17);
  report.mutable_skipped_samples(0)->set_entry("4ake_A");
  v1::NamedSample& bad = *report.add_bad_samples();
  bad.set_virtual_sample(3);
  bad.set_entry("1ake_A");
  bad.set_reason("x.npy: not finite");
  run.writer.step(report);
  run.begin(2, 0, "TrainerKilled");
  ASSERT_EQ(run.records.size(), 5U);
  EXPECT_EQ(serialized(from_json(to_json(run.records).dump())), serialized(run.records));
  EXPECT_EQ(to_json(run.records)[2].at("cause"), "NonFiniteLoss");
  EXPECT_EQ(to_json(run.records)[3].at("named").dump(), R"([[3,"1ake_A","x.npy: not finite"]])");
  EXPECT_THROW(from_json("[{\"kind\":\"other\"}]"), Error);
  EXPECT_THROW(from_json("["), Error);
}

}  // namespace
}  // namespace mdgen::ledger
