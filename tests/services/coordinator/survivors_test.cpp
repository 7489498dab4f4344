// The engine when trainers live on over generations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Gang;
using ::testing::HasSubstr;
using testing::World;

TEST(Survivors, GoOnWithoutAReplacementWhenThereIsNone) {
  Gang gang;
  gang.lose(gang[0]);
  EXPECT_EQ(gang.abandons(gang[1]), 1);
  gang.left(gang[1], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING) << "rank 2 has not left";
  gang.left(gang[2], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[1]).world_size(), 2);
  EXPECT_EQ(gang.assignment(gang[1]).rank(), 1) << "it keeps its rank";
  EXPECT_EQ(gang.assignment(gang[1]).attempt(), 1);
  EXPECT_EQ(gang.assignment(gang[2]).rank(), 0) << "its own is no more";
  EXPECT_EQ(gang.assignment(gang[2]).attempt(), 2) << "another rank, another log";
  EXPECT_EQ(gang.stops(gang[1], true) + gang.stops(gang[2], true), 0);
}

TEST(Survivors, AreNotToldTheLastWordsWhichTheyWouldRepeatInTheirs) {
  Gang gang;
  gang.exit(gang[0], 0, 11, "its last line");
  const auto& told = gang.inbox[gang[1]].back();
  ASSERT_TRUE(told.has_abandon());
  EXPECT_NE(told.abandon().reason().find("SIGSEGV"), std::string::npos) << told.abandon().reason();
  EXPECT_EQ(told.abandon().reason().find("its last line"), std::string::npos) << told.abandon().reason();
}

TEST(Survivors, WhoDoesNotLeaveInTenSecondsIsKilledAndOneSecondLaterLost) {
  Gang gang;
  gang.exit(gang[0], 0, 11);
  gang.left(gang[1], 10);
  gang.pass_with_beats(seconds(9));
  EXPECT_EQ(gang.stops(gang[2], true), 0);
  gang.pass_with_beats(seconds(1));
  EXPECT_EQ(gang.stops(gang[2], true), 1);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  gang.pass_with_beats(seconds(1));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.job(gang.id).workers(), 2) << "the one whose end is not confirmed is left out";
  EXPECT_EQ(gang.job(gang.id).reason(), "WorkersAssigned");
}

TEST(Survivors, TheTimelineNamesEachPart) {
  Gang gang;
  gang.pass_with_beats(seconds(1));
  gang.exit(gang[1], 0, 11, "I die");
  gang.steady += milliseconds(200);
  gang.left(gang[0], 10);
  gang.steady += milliseconds(100);
  gang.left(gang[2], 10);
  gang.steady += milliseconds(500);
  auto report = gang.event(gang[0]);
  report.mutable_started()->set_first_step(10);
  report.mutable_started()->set_source(v1::STATE_SOURCE_MEMORY);
  report.mutable_started()->set_source_rank(2);
  report.mutable_started()->set_heal_seconds(0.125);
  gang.say(gang[0], report);
  EXPECT_FALSE(gang.recovery().complete());
  gang.steady += milliseconds(250);
  gang.step(gang[0], 11);

  const v1::Recovery& recovery = gang.recovery();
  EXPECT_EQ(recovery.generation(), 1);
  EXPECT_EQ(recovery.reason(), "TrainerKilled");
  EXPECT_THAT(recovery.message(), HasSubstr("I die"));
  EXPECT_EQ(recovery.rank(), 1);
  EXPECT_EQ(recovery.host(), "node1");
  EXPECT_NEAR(recovery.abort_seconds(), 0.3, 1e-9);
  EXPECT_NEAR(recovery.wait_seconds(), 0.0, 1e-9);
  EXPECT_NEAR(recovery.rendezvous_seconds(), 0.375, 1e-9);
  EXPECT_NEAR(recovery.heal_seconds(), 0.125, 1e-9);
  EXPECT_NEAR(recovery.first_step_seconds(), 0.25, 1e-9);
  EXPECT_NEAR(recovery.total_seconds(), 1.05, 1e-9);
  EXPECT_EQ(recovery.source(), "memory of rank 2");
  EXPECT_EQ(recovery.from_step(), 10);
  EXPECT_EQ(recovery.lost_steps(), 0);
  EXPECT_EQ(recovery.workers(), 3);
  EXPECT_TRUE(recovery.complete());
  EXPECT_EQ(gang.job(gang.id).recovery_count(), 1);
  EXPECT_EQ(gang.store.load()[0].job.recoveries_size(), 1) << "stored";
  EXPECT_NEAR(gang.job(gang.id).recovery_seconds(), 1.05, 1e-9);
  ASSERT_EQ(gang.heard.recoveries.size(), 1U);
  EXPECT_EQ(gang.heard.recoveries[0].reason(), "TrainerKilled");
  EXPECT_EQ(gang.heard.detected_after[0], 0.0) << "the end of a process is told at once";
  EXPECT_EQ(gang.heard.restarts, std::vector<std::string>{"TrainerKilled"});
}

TEST(Survivors, AWeightierCauseCorrectsTheRecordAfterTheNextGenerationHasOpened) {
  Gang gang(2);
  gang.lose(gang[1]);
  gang.left(gang[0], 10);
  ASSERT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.recovery().reason(), "WorkerLost");
  v1::TrainerEvent late;
  late.mutable_id()->set_job_id(gang.id);
  late.mutable_id()->set_generation(1);
  late.set_rank(1);
  late.mutable_exited()->set_signal(9);
  late.mutable_exited()->set_out_of_memory(true);
  gang.steady += seconds(1);
  gang.say(gang[1], late);
  EXPECT_EQ(gang.recovery().reason(), "OutOfMemory");
  EXPECT_THAT(gang.recovery().message(), HasSubstr("of the kernel: out of memory"));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING) << "the recovery does not wait for it";
}

TEST(Survivors, AnAbortThatEndsAProcessIsNotTheCause) {
  Gang gang;
  gang.lose(gang[1]);
  gang.exit(gang[0], 0, 6);
  EXPECT_EQ(gang.recovery().reason(), "WorkerLost");
}

TEST(Survivors, OfAFormingGenerationFormTheNextOne) {
  Gang gang;
  gang.exit(gang[2], 0, 11);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  ASSERT_EQ(gang.assignment(gang[2]).id().generation(), 2);
  EXPECT_EQ(gang.post(gang.id, 2, 0, "zero", 1), 0U);
  gang.exit(gang[2], 0, 11);
  EXPECT_EQ(gang.answers.size(), 1U) << "who waits in the rendezvous is told at once";
  EXPECT_TRUE(gang.answers[0].superseded);
  gang.left(gang[0], 10, "Aborted");
  gang.left(gang[1], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  EXPECT_THAT(gang.job(gang.id).message(), HasSubstr("1 restarts without progress"));
  gang.pass_with_beats(seconds(1));
  EXPECT_EQ(gang.assignment(gang[0]).id().generation(), 3);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
  EXPECT_EQ(gang.assignment(gang[2]).attempt(), 3);
}

TEST(Survivors, BackOffDoublesUntilThereIsProgress) {
  Gang gang(1);
  std::int64_t at = 10;
  for (const int pause : {0, 1, 2, 4}) {
    gang.exit(gang[0], 0, 11);
    if (pause > 1) {
      gang.pass_with_beats(seconds(pause - 1));
      EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING) << pause;
    }
    gang.pass_with_beats(seconds(pause > 0 ? 1 : 0));
    ASSERT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING) << pause;
    gang.started(gang[0], --at);
  }
  gang.steps(gang[0], at + 1, 11);
  gang.exit(gang[0], 0, 11);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING) << "there was progress";
}

TEST(Survivors, AtMostMaxRestarts) {
  World world;
  world.agent("i0");
  v1::JobSpec spec = World::spec("run", 1, 1);
  spec.mutable_recovery()->set_max_restarts(1);
  const std::string id = world.queued(spec);
  const std::string a = world.engine->workers()[0]->id;
  world.started(a);
  world.steps(a, 1, 5);
  world.exit(a, 0, 11);
  world.started(a, 5);
  world.steps(a, 6, 9);
  world.exit(a, 0, 11);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(world.job(id).message(), HasSubstr("recovery.max_restarts"));
}

TEST(Survivors, RestartOnNamesTheKinds) {
  World world;
  world.agent("i0");
  v1::JobSpec spec = World::spec("run", 1, 1);
  spec.mutable_recovery()->set_restart_on("hang, worker_lost");
  const std::string id = world.queued(spec);
  const std::string a = world.engine->workers()[0]->id;
  world.started(a);
  world.exit(a, 0, 11);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(world.job(id).message(), HasSubstr("recovery.restart_on does not name killed"));
}

TEST(Survivors, BelowMinHoldThenCheckpointAndGoBackToTheQueue) {
  Gang gang(3, 3);
  gang.lose(gang[2]);
  gang.left(gang[0], 12);
  gang.left(gang[1], 13);
  gang.pass_with_beats(seconds(299));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  gang.pass_with_beats(seconds(1));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_CHECKPOINTING);
  EXPECT_EQ(gang.order(gang[0]), nullptr) << "one writes";
  ASSERT_NE(gang.order(gang[1]), nullptr);
  EXPECT_TRUE(gang.order(gang[1])->checkpoint());
  gang.checkpoint(gang[1], 13);
  gang.finish(gang[1], v1::OUTCOME_STOPPED);
  gang.exit(gang[1], 0);
  ASSERT_NE(gang.order(gang[0]), nullptr);
  EXPECT_FALSE(gang.order(gang[0])->checkpoint());
  gang.exit(gang[0], 0);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(gang.job(gang.id).checkpoint_step(), 13);
  gang.agent("i9");
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
}

TEST(Survivors, WhenTheHolderCannotWriteTheNextOneDoes) {
  Gang gang(3, 3);
  gang.lose(gang[2]);
  gang.left(gang[0], 12);
  gang.left(gang[1], 13);
  gang.pass_with_beats(seconds(300));
  ASSERT_NE(gang.order(gang[1]), nullptr);
  gang.finish(gang[1], v1::OUTCOME_FAILED, "CheckpointFailed", "disk full");
  gang.exit(gang[1], 1);
  ASSERT_NE(gang.order(gang[0]), nullptr);
  EXPECT_TRUE(gang.order(gang[0])->checkpoint());
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_CHECKPOINTING);
}

TEST(Survivors, CancelLetsOneOfThemWrite) {
  Gang gang(3, 3);
  gang.lose(gang[2]);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  gang.cancel(gang.id, 60);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ((gang.order(gang[0]) != nullptr) + (gang.order(gang[1]) != nullptr), 1);
  gang.checkpoint(gang[0], 10);
  gang.exit(gang[0], 0);
  gang.exit(gang[1], 0);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_CANCELLED);
}

TEST(Survivors, AnAgentThatDrainsTakesItsTrainerWithIt) {
  Gang gang(3);
  v1::Draining draining;
  draining.set_reason("SIGTERM");
  gang.engine->drain(gang.now(), gang[2], draining);
  gang.flush();
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RUNNING) << "its trainers vote";
  for (const std::string& worker : gang.workers) gang.left_agreed(worker, 11, true);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).world_size(), 2);
  EXPECT_EQ(gang.assignment(gang[2]).id().generation(), 1);
  EXPECT_EQ(gang.recovery().reason(), "WorkerLeaves");
  EXPECT_EQ(gang.recovery().rank(), -1);
  EXPECT_EQ(gang.job(gang.id).restarts(), 0) << "no failure";
  const std::string next = gang.queued(World::spec("next", 1, 1));
  EXPECT_EQ(gang.state(next), v1::JOB_STATE_QUEUED) << "it gets no work";
}

// A one-rank job needs no collective: nobody else proves that its trainer has stopped.
TEST(OneRank, WhoseAgentComesBackKeepsItsMemory) {
  Gang gang(1);
  v1::Register again = World::identity("i0");
  *again.add_running() = gang.event(gang[0]).id();
  gang.lose(gang[0]);
  const std::string other = gang.agent("i9");
  gang.pass_with_beats(seconds(60));
  EXPECT_EQ(gang.assignment(other).world_size(), 0) << "it may still train";
  gang.agent(again);
  EXPECT_EQ(gang.abandons(gang[0]), 1);
  gang.step(gang[0], 11);
  gang.left(gang[0], 11);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).id().generation(), 2);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
}

}  // namespace
}  // namespace mdgen::coordinator
