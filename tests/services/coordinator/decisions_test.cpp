// The pure parts: scheduling, pace, streaks, judging the ends of trainers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "services/coordinator/generation.h"
#include "services/coordinator/progress.h"
#include "services/coordinator/reconcile.h"
#include "services/coordinator/scheduler.h"

namespace mdgen::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Schedule, TakesUpToMaxInOrder) {
  const auto given = schedule({{"a", 1, 2}, {"b", 1, 9}}, {{"w1", "w2", "w3", "w4"}, 4});
  EXPECT_THAT(given.at("a"), ElementsAre("w1", "w2"));
  EXPECT_THAT(given.at("b"), ElementsAre("w3", "w4"));
}

TEST(Schedule, TheHeadOfTheQueueHoldsBackTheRest) {
  EXPECT_TRUE(schedule({{"a", 3, 3}, {"b", 1, 1}}, {{"w1", "w2"}, 4}).empty());
}

TEST(Schedule, AJobThatThePoolCannotHoldBlocksNobody) {
  const auto given = schedule({{"a", 5, 5}, {"b", 1, 1}}, {{"w1", "w2"}, 4});
  EXPECT_FALSE(given.contains("a"));
  EXPECT_THAT(given.at("b"), ElementsAre("w1"));
}

TEST(Schedule, OneThatHasEnoughGoesOnBehindOneThatWaits) {
  const Want enough{.job_id = "b", .min = 0, .max = 2, .held = 2};
  const auto given = schedule({{"a", 3, 3}, enough}, {{"w1"}, 6});
  EXPECT_FALSE(given.contains("a"));
  ASSERT_TRUE(given.contains("b"));
  EXPECT_TRUE(given.at("b").empty()) << "the free one is kept for the head";
  EXPECT_TRUE(can_give({{"a", 3, 3}, enough}, {1, 6}));
  const auto alone = schedule({enough}, {{}, 2});
  EXPECT_TRUE(alone.contains("b"));
}

TEST(Schedule, GivesBackTheWorkersThatItHadBefore) {
  const Want want{.job_id = "a", .min = 1, .max = 2, .held = 1, .prefer = {"w3", "gone"}};
  EXPECT_THAT(schedule({want}, {{"w1", "w2", "w3"}, 4}).at("a"), ElementsAre("w3", "w1"));
}

TEST(Schedule, NothingForNobody) {
  EXPECT_TRUE(schedule({}, {{"w1"}, 1}).empty());
  EXPECT_TRUE(schedule({{"a", 1, 1}}, {{}, 0}).empty());
}

TEST(Warnings, AreTheNewestAndSayHowManyAreLeftOut) {
  v1::Job job;
  for (int i = 0; i < kKeptWarnings; ++i) add_warning(job, "warning " + std::to_string(i));
  EXPECT_EQ(job.warnings(0), "warning 0");
  for (int i = 0; i < 3; ++i) add_warning(job, "late " + std::to_string(i));
  EXPECT_EQ(job.warnings_size(), kKeptWarnings + 1);
  EXPECT_EQ(job.warnings(0), "3 older warnings are left out");
  EXPECT_EQ(job.warnings(1), "warning 3");
  EXPECT_EQ(job.warnings(kKeptWarnings), "late 2");
}

TEST(Transitions, AreTheFirstAndTheNewest) {
  v1::Job job;
  for (int i = 0; i < kKeptTransitions + 4; ++i) {
    job.add_transitions()->set_message("transition " + std::to_string(i));
    keep_newest_transitions(job);
  }
  EXPECT_EQ(job.transitions_size(), kKeptTransitions + 1);
  EXPECT_EQ(job.transitions(0).message(), "transition 0; 3 transitions after it are left out");
  EXPECT_EQ(job.transitions(1).message(), "transition 4");
}

TEST(FailureStreak, CountsUntilThereIsProgress) {
  FailureStreak streak = extend(FailureStreak{}, 5);
  EXPECT_EQ(streak.failures, 1);
  streak = extend(streak, 5);
  streak = extend(streak, 4);
  EXPECT_EQ(streak.failures, 3);
  streak = extend(streak, 6);
  EXPECT_EQ(streak.failures, 1);
}

Member member(int rank) {
  Member member;
  member.rank = rank;
  member.host = "node" + std::to_string(rank);
  return member;
}

v1::ProcessExit process_exit(int code, int signal, const std::string& line = "") {
  v1::ProcessExit exit;
  exit.set_exit_code(code);
  exit.set_signal(signal);
  if (!line.empty()) exit.add_last_log_lines(line);
  return exit;
}

TEST(JudgeExit, NamesSignalHostAndLastWords) {
  const auto evidence = judge_exit(member(3), process_exit(0, SIGSEGV, "about to crash"));
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->reason, "TrainerKilled");
  EXPECT_THAT(evidence->message, HasSubstr("rank 3"));
  EXPECT_THAT(evidence->message, HasSubstr("node3"));
  EXPECT_THAT(evidence->message, HasSubstr("SEGV"));
  EXPECT_THAT(evidence->message, HasSubstr("about to crash"));
  EXPECT_TRUE(evidence->restartable);
  EXPECT_THAT(judge_exit(member(0), process_exit(0, SIGKILL))->message, HasSubstr("nobody here sent"));
  EXPECT_THAT(judge_exit(member(0), process_exit(17, 0))->message, HasSubstr("17"));
}

TEST(JudgeExit, WhatWasOrderedOrSaidIsNoEvidence) {
  Member killed = member(0);
  killed.kill_sent = true;
  EXPECT_FALSE(judge_exit(killed, process_exit(0, SIGKILL)));
  EXPECT_TRUE(judge_exit(killed, process_exit(0, SIGSEGV))) << "not our signal";
  Member failed = member(0);
  failed.finish.emplace().set_outcome(v1::OUTCOME_FAILED);
  EXPECT_FALSE(judge_exit(failed, process_exit(1, 0)));
  Member done = member(0);
  done.finish.emplace().set_outcome(v1::OUTCOME_COMPLETED);
  EXPECT_FALSE(judge_exit(done, process_exit(0, 0)));
  EXPECT_TRUE(judge_exit(done, process_exit(1, 0))) << "completed, then crashed";
  EXPECT_FALSE(judge_exit(member(1), process_exit(0, 0)));
  EXPECT_TRUE(judge_exit(member(0), process_exit(0, 0))) << "rank 0 left without a word";
}

TEST(Cause, AProcessThatDiedOutweighsWhatOthersSayOfIt) {
  Generation generation;
  v1::FinishReport report;
  report.set_outcome(v1::OUTCOME_FAILED);
  report.set_reason("Unavailable");
  report.set_message("all_reduce: connection closed by peer");
  generation.evidence.push_back(*judge_finish(member(0), report));
  EXPECT_EQ(generation.cause()->kind, Evidence::Kind::kCollective);
  EXPECT_TRUE(generation.cause()->restartable);
  report.set_reason("Internal");
  generation.evidence.push_back(*judge_finish(member(0), report));
  EXPECT_FALSE(generation.cause()->restartable) << "an error of its own would only return";
  generation.evidence.push_back(*judge_exit(member(1), process_exit(0, SIGABRT)));
  EXPECT_EQ(generation.cause()->rank, 1);
  EXPECT_TRUE(generation.cause()->restartable);
}

TEST(Cause, AFullDiskOutweighsThePeersThatLostTheRankAndIsTriedAgain) {
  Generation generation;
  v1::FinishReport report;
  report.set_outcome(v1::OUTCOME_FAILED);
  report.set_reason("Unavailable");
  report.set_message("all_reduce: lost rank 0");
  generation.evidence.push_back(*judge_finish(member(1), report));
  report.set_reason("CheckpointFailed");
  report.set_message("cannot write model.safetensors: No space left on device");
  generation.evidence.push_back(*judge_finish(member(0), report));
  EXPECT_EQ(generation.cause()->reason, "CheckpointFailed");
  EXPECT_EQ(generation.cause()->rank, 0);
  EXPECT_TRUE(generation.cause()->restartable);
}

TEST(PoisonWatch, GoesByTheCulpritsOwnWordWhenItWasFurther) {
  Generation generation;
  generation.members = {member(0), member(1)};
  generation.members[0].started = true;
  generation.last_step = 10;
  generation.evidence.push_back(*judge_exit(generation.members[1], process_exit(0, SIGSEGV)));
  EXPECT_EQ(extend(PoisonWatch{}, generation).step, 10);
  generation.members[1].step = 11;
  EXPECT_EQ(extend(PoisonWatch{}, generation).step, 11);
  EXPECT_EQ(extend(PoisonWatch{11, 1}, generation).times, 2);
}

TEST(Reconcile, DoesNothingWithoutNews) {
  JobRecord record;
  record.job.set_id("j");
  record.job.set_state(v1::JOB_STATE_RUNNING);
  Generation& generation = record.generation.emplace();
  generation.number = 1;
  generation.members = {member(0), member(1)};
  EXPECT_TRUE(reconcile(Clock::Steady{}, record, {}, {}).empty());
  record.job.set_state(v1::JOB_STATE_SUCCEEDED);
  record.desired.goal = Desired::Goal::kCancel;
  EXPECT_TRUE(reconcile(Clock::Steady{}, record, Offer({"w1"}), {}).empty());
}

}  // namespace
}  // namespace mdgen::coordinator
