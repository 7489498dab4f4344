// The coordinator is restarted while a job recovers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using testing::Gang;
using testing::World;

TEST(Restarted, WhileItsMembersLeave_TheySayItAgain) {
  Gang gang(3);
  gang.exit(gang[2], 0, 11);
  gang.left(gang[0], 10);
  const v1::GenerationId old = gang.event(gang[0]).id();
  gang.restart();
  ASSERT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  for (const char* incarnation : {"i0", "i1"}) {
    v1::Register again = World::identity(incarnation);
    *again.add_running() = old;
    gang.agent(again);
  }
  EXPECT_EQ(gang.abandons(gang[0]) + gang.abandons(gang[1]), 2);
  gang.agent("i2");
  for (int rank : {0, 1}) {
    v1::TrainerEvent left;
    *left.mutable_id() = old;
    left.set_rank(rank);
    left.mutable_left()->set_applied(10);
    left.mutable_left()->set_resident(true);
    left.mutable_left()->set_reason("Abandoned");
    gang.say(gang[static_cast<std::size_t>(rank)], left);
  }
  gang.pass_with_beats(seconds(4));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).world_size(), 3);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
  EXPECT_EQ(gang.assignment(gang[2]).attempt(), 2);
}

TEST(Restarted, WhileItHeldBelowMin_NothingIsCountedTwice) {
  Gang gang(2, 2);
  gang.lose(gang[1]);
  gang.left(gang[0], 10);
  const v1::GenerationId old = gang.event(gang[0]).id();
  const int failures = gang.engine->job(gang.id).streak.failures;
  ASSERT_TRUE(gang.engine->job(gang.id).generation->concluded);
  gang.restart();
  v1::Register again = World::identity("i0");
  *again.add_running() = old;
  gang.agent(again);
  v1::TrainerEvent left;
  *left.mutable_id() = old;
  left.mutable_left()->set_applied(10);
  left.mutable_left()->set_resident(true);
  gang.say(gang[0], left);
  gang.pass_with_beats(gang.options.reconnect_grace + seconds(1));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(gang.engine->job(gang.id).streak.failures, failures);
  gang.agent("i5");
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
}

v1::Register running_agent(const std::string& incarnation, const v1::GenerationId& id) {
  v1::Register identity = World::identity(incarnation);
  *identity.add_running() = id;
  return identity;
}

// The agents know nothing of the generation that was stored: their trainers wait, each with its memory.
TEST(Restarted, BeforeAGenerationWasToldOf_ItsMembersLiveOn) {
  Gang gang(3);
  const v1::GenerationId old = gang.event(gang[0]).id();
  gang.exit(gang[2], 0, 11);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  ASSERT_EQ(gang.assignment(gang[0]).id().generation(), 2);
  gang.restart();
  gang.agent(running_agent("i0", old));
  gang.agent(running_agent("i1", old));
  gang.agent("i2");
  for (const std::size_t rank : {0, 1}) {
    EXPECT_EQ(gang.stops(gang[rank], true), 0);
    EXPECT_EQ(gang.assignment(gang[rank]).id().generation(), 2);
    EXPECT_EQ(gang.assignment(gang[rank]).world_size(), 3);
    EXPECT_EQ(gang.abandons(gang[rank]), 1) << "the generation that was forming is dropped";
    gang.left(gang[rank], 10);
  }
  gang.pass_with_beats(seconds(6));
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  for (const std::size_t rank : {0, 1}) {
    EXPECT_EQ(gang.assignment(gang[rank]).id().generation(), 3);
    EXPECT_EQ(gang.assignment(gang[rank]).attempt(), 1);
  }
}

TEST(Restarted, NotAtAll_ButTheConnectionThatCarriedTheAssignmentBroke) {
  Gang gang(3);
  const v1::GenerationId old = gang.event(gang[0]).id();
  gang.exit(gang[2], 0, 11);
  gang.left(gang[0], 10);
  gang.left(gang[1], 10);
  gang.lose(gang[0]);
  gang.inbox.clear();
  gang.agent(running_agent("i0", old));
  EXPECT_EQ(gang.stops(gang[0], true), 0);
  EXPECT_EQ(gang.assignment(gang[0]).id().generation(), 2);
  EXPECT_EQ(gang.abandons(gang[0]), 1);
  EXPECT_FALSE(gang.engine->job(gang.id).generation->members[0].lost);
}

TEST(Restarted, DuringAPlannedChange_ItIsStillNoFailure) {
  Gang gang(2, 2);
  gang.engine->drain(gang.now(), gang[1], {});
  gang.left_agreed(gang[0], 10, true);
  gang.left_agreed(gang[1], 10, true);
  gang.engine->leave(gang.now(), gang[1], "SIGTERM");
  gang.flush();
  ASSERT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  const v1::GenerationId old = gang.event(gang[0]).id();
  gang.restart();
  gang.agent(running_agent("i0", old));
  v1::TrainerEvent left;
  *left.mutable_id() = old;
  left.mutable_left()->set_applied(10);
  left.mutable_left()->set_resident(true);
  left.mutable_left()->set_agreed(true);
  gang.say(gang[0], left);
  gang.pass_with_beats(gang.options.reconnect_grace + seconds(1));
  EXPECT_EQ(gang.engine->job(gang.id).generation->cause(), nullptr);
  gang.agent("i5");
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(gang.job(gang.id).restarts(), 0);
  EXPECT_EQ(gang.engine->job(gang.id).streak.failures, 0);
  EXPECT_EQ(gang.assignment(gang[0]).attempt(), 1);
}

TEST(Restarted, WhileItRecovers_TheKindOfTheCauseStays) {
  Gang gang(3);
  gang.left(gang[0], 10, "CollectiveFailed");
  gang.restart();
  ASSERT_NE(gang.engine->job(gang.id).generation->cause(), nullptr);
  EXPECT_EQ(gang.engine->job(gang.id).generation->cause()->kind, Evidence::Kind::kCollective);

  World world;
  world.agent("i0");
  const std::string id = world.queued(World::spec("run", 1, 1));
  world.restart();
  world.restart();
  ASSERT_NE(world.engine->job(id).generation->cause(), nullptr);
  EXPECT_EQ(world.engine->job(id).job.reason(), "CoordinatorRestarted");
  EXPECT_EQ(world.engine->job(id).generation->cause()->kind, Evidence::Kind::kWorkerLost);
}

}  // namespace
}  // namespace mdgen::coordinator
