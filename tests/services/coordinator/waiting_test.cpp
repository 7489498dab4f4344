// What the engine waits for, how long, and who is to blame then.
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

TEST(Hangs, AStoppedProcessIsKilledAndReplaced) {
  Gang gang(2);
  gang.beat(0, v1::TRAINER_PHASE_REDUCE, 10);
  gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10, milliseconds(9999));
  gang.pass(milliseconds(100));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RUNNING);
  gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10, milliseconds(10000));
  gang.pass(milliseconds(100));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(gang.job(gang.id).reason(), "TrainerSilent");
  EXPECT_EQ(gang.stops(gang[1], true), 1);
  EXPECT_EQ(gang.abandons(gang[0]), 1);
  gang.exit(gang[1], 0, 9);
  gang.left(gang[0], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.recovery().reason(), "TrainerSilent") << "our own kill is not the cause";
}

TEST(Hangs, OnlyWhoHasNotEnteredTheReductionIsKilled) {
  Gang gang(3);
  for (int second = 0; second <= 10; ++second) {
    gang.beat(0, v1::TRAINER_PHASE_REDUCE, 10);
    gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10);
    gang.beat(2, v1::TRAINER_PHASE_REDUCE, 10);
    gang.pass(seconds(1));
  }
  EXPECT_EQ(gang.job(gang.id).reason(), "Hang");
  EXPECT_THAT(gang.job(gang.id).message(), HasSubstr("rank 1"));
  EXPECT_THAT(gang.job(gang.id).message(), HasSubstr("compute"));
  EXPECT_EQ(gang.stops(gang[1], true), 1);
  EXPECT_EQ(gang.abandons(gang[0]) + gang.abandons(gang[2]), 2);
}

TEST(Hangs, WithAllInsideNobodyIsKilledAndAllMeetAgain) {
  Gang gang(2);
  for (int second = 0; second <= 10; ++second) {
    gang.beat(0, v1::TRAINER_PHASE_REDUCE, 10);
    gang.beat(1, v1::TRAINER_PHASE_REDUCE, 10);
    gang.pass(seconds(1));
  }
  EXPECT_EQ(gang.job(gang.id).reason(), "NetworkHang");
  EXPECT_EQ(gang.abandons(gang[0]) + gang.abandons(gang[1]), 2);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[1]).attempt(), 1);
}

TEST(Hangs, TheStatusSaysWhatIsWaitedFor) {
  Gang gang(2);
  gang.pass_with_beats(seconds(3));
  const v1::Timeouts& timeouts = gang.job(gang.id).timeouts();
  EXPECT_DOUBLE_EQ(timeouts.worker_lost_seconds(), 5.0);
  EXPECT_DOUBLE_EQ(timeouts.trainer_silent_seconds(), 10.0);
  EXPECT_DOUBLE_EQ(timeouts.abort_seconds(), 10.0);
  EXPECT_DOUBLE_EQ(timeouts.phase_seconds().at("reduce"), 10.0);
  EXPECT_DOUBLE_EQ(timeouts.phase_seconds().at("validate"), 3600.0);
}

// --- how long ---

double bound(const Gang& gang, v1::TrainerPhase phase) {
  return bounds_of(gang.engine->job(gang.id)).of(phase).count();
}

TEST(Waiting, ForACheckpointGoesByWhatItsWriterReports) {
  Gang gang(2);
  gang.beat(0, v1::TRAINER_PHASE_CHECKPOINT, 10);  // the copy, which takes no time
  gang.steady += seconds(1);
  gang.beat(0, v1::TRAINER_PHASE_COMPUTE, 10);
  EXPECT_DOUBLE_EQ(bound(gang, v1::TRAINER_PHASE_CHECKPOINT), 1800.0);
  auto report = gang.event(gang[0]);
  report.mutable_checkpoint()->set_step(10);
  report.mutable_checkpoint()->set_verified(true);
  report.mutable_checkpoint()->set_blocked_seconds(0.5);
  report.mutable_checkpoint()->set_persist_seconds(30.0);
  gang.say(gang[0], report);
  EXPECT_DOUBLE_EQ(bound(gang, v1::TRAINER_PHASE_CHECKPOINT), 122.0);
}

TEST(Waiting, ForAValidationGoesByThoseThatEndedByThemselves) {
  Gang gang(2);
  gang.beat(0, v1::TRAINER_PHASE_VALIDATE, 10);
  gang.steady += seconds(1);
  gang.beat(0, v1::TRAINER_PHASE_WAIT, 10);
  EXPECT_DOUBLE_EQ(bound(gang, v1::TRAINER_PHASE_VALIDATE), 3600.0);
  gang.beat(0, v1::TRAINER_PHASE_VALIDATE, 10);
  gang.steady += seconds(30);
  gang.beat(0, v1::TRAINER_PHASE_DATA, 10);
  EXPECT_DOUBLE_EQ(bound(gang, v1::TRAINER_PHASE_VALIDATE), 120.0);
  gang.beat(0, v1::TRAINER_PHASE_VALIDATE, 10);
  gang.steady += seconds(60);
  gang.exit(gang[1], 0, 11);
  gang.beat(0, v1::TRAINER_PHASE_CHECKPOINT, 10);
  EXPECT_DOUBLE_EQ(bound(gang, v1::TRAINER_PHASE_VALIDATE), 120.0) << "it was broken off";
}

TEST(Waiting, BeforeAnyStepIsMeasuredASurvivorHasTheTimeOfAFirstStep) {
  World world;
  world.steady += world.options.reconnect_grace;
  const std::string a = world.agent("i0");
  const std::string b = world.agent("i1");
  const std::string id = world.queued(World::spec("run", 1, 2));
  world.exit(b, 0, 11);
  world.pass_with_beats(seconds(590));
  EXPECT_EQ(world.stops(a, true), 0);
  world.pass_with_beats(seconds(11));
  EXPECT_EQ(world.stops(a, true), 1);
}

TEST(Waiting, WhatWasMeasuredOutlivesTheCoordinator) {
  Gang gang(2);
  for (const std::int64_t at : {11, 12}) {
    auto report = gang.event(gang[0]);
    report.mutable_step()->set_step(at);
    report.mutable_step()->set_seconds(20.0);
    gang.say(gang[0], report);
    gang.pass_with_beats(seconds(3));
  }
  ASSERT_DOUBLE_EQ(bounds_of(gang.engine->job(gang.id)).abort.count(), 60.0);
  gang.restart();
  EXPECT_DOUBLE_EQ(bounds_of(gang.engine->job(gang.id)).abort.count(), 60.0);
  EXPECT_DOUBLE_EQ(bound(gang, v1::TRAINER_PHASE_CHECKPOINT), 1800.0) << "none was measured";
}

TEST(Waiting, ASurvivorThatWritesACheckpointIsNotKilledUnlessItIsStopped) {
  Gang gang(2);
  gang.beat(0, v1::TRAINER_PHASE_CHECKPOINT, 10);
  gang.exit(gang[1], 0, 11);
  for (int second = 0; second < 60; ++second) {
    gang.beat(0, v1::TRAINER_PHASE_CHECKPOINT, 10);
    gang.engine->beat(gang.now(), gang[1], v1::Beat());
    gang.pass(seconds(1));
  }
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  gang.beat(0, v1::TRAINER_PHASE_CHECKPOINT, 10, seconds(10));
  gang.pass(seconds(1));
  EXPECT_EQ(gang.stops(gang[0], true), 1);
}

TEST(Waiting, ForAnOrderBeginsWhenItCanBeGiven) {
  Gang gang(2);
  gang.store.broken = true;
  EXPECT_THROW(gang.exit(gang[1], 0, 11), Error);
  for (int second = 0; second < 30; ++second) {
    for (std::size_t rank : {0, 1}) gang.beat(rank, v1::TRAINER_PHASE_COMPUTE, second);
    EXPECT_THROW(gang.pass(seconds(1)), Error);
  }
  gang.store.broken = false;
  gang.pass_with_beats(seconds(1));
  EXPECT_EQ(gang.abandons(gang[0]), 1);
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  gang.pass_with_beats(seconds(8));
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  gang.pass_with_beats(seconds(2));
  EXPECT_EQ(gang.stops(gang[0], true), 1);
}

TEST(Waiting, APauseOfTheCoordinatorIsNobodysDelay) {
  Gang gang(2);
  gang.exit(gang[1], 0, 11);
  gang.pass(seconds(60));
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  gang.restart();
  gang.agent("i0");
  ASSERT_TRUE(gang.engine->job(gang.id).generation->members[0].missing_since);
  gang.pass(seconds(60));
  EXPECT_FALSE(gang.engine->job(gang.id).generation->members[0].gone);
}

TEST(Waiting, AHolderMayTakeAsLongAsACheckpointTakes) {
  Gang gang(3, 3);
  gang.lose(gang[2]);
  gang.left(gang[0], 12);
  gang.left(gang[1], 13);
  gang.pass_with_beats(seconds(300));
  ASSERT_NE(gang.order(gang[1]), nullptr);
  gang.pass_with_beats(seconds(1700));
  EXPECT_EQ(gang.stops(gang[1], true), 0);
  gang.pass_with_beats(seconds(101));
  EXPECT_EQ(gang.stops(gang[1], true), 1);
}

TEST(Waiting, APauseIsForgivenBeforeTheFirstMessageAfterIt) {
  Gang gang(3);
  gang.exit(gang[2], 0, 11);
  gang.steady += seconds(60);
  gang.engine->wake(gang.now());
  gang.left(gang[1], 10);
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  gang.pass_with_beats(seconds(10));
  EXPECT_EQ(gang.stops(gang[0], true), 1);
}

TEST(Waiting, ForAnOrderDoesNotCountTheTimeThatTheStoreTook) {
  Gang gang(2);
  gang.exit(gang[1], 0, 11);
  gang.steady += seconds(12);
  gang.engine->stalled(gang.now(), seconds(12));
  gang.pass_with_beats(seconds(9));
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  gang.pass_with_beats(seconds(1));
  EXPECT_EQ(gang.stops(gang[0], true), 1);
}

}  // namespace
}  // namespace mdgen::coordinator
