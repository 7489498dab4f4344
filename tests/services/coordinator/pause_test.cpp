// Pauses, and what goes on after them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/services/coordinator/pool.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::Pool;
using testing::World;

struct Paused : Pool {
  Paused() {
    add(2);
    id = run(World::spec("run", 2, 2));
    pause();
  }
  void pause(int grace = 60) {
    engine->pause(now(), id, seconds(grace));
    flush();
  }
  void resume(const v1::WorkerRange* range = nullptr) {
    engine->resume(now(), id, range);
    flush();
  }
  std::string id;
};

TEST(Pause, WritesACheckpointFreesTheWorkersAndGoesOnLater) {
  Paused pool;
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSING);
  ASSERT_NE(pool.order(pool.workers[0]), nullptr);
  EXPECT_TRUE(pool.order(pool.workers[0])->checkpoint());
  EXPECT_TRUE(pool.order(pool.workers[0])->yield());
  pool.all_leave(0, 2, true);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSING) << "their ends are awaited";
  EXPECT_FALSE(pool.order(pool.workers[0])->yield());
  EXPECT_FALSE(pool.order(pool.workers[0])->checkpoint()) << "there is one";
  pool.all_end(0, 2);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSED);
  EXPECT_THAT(pool.job(pool.id).message(), HasSubstr("checkpoint at step 10"));
  const std::string next = pool.queued(World::spec("next", 1, 1));
  EXPECT_EQ(pool.state(next), v1::JOB_STATE_STARTING) << "the workers are free";

  pool.restart();
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSED);
  v1::WorkerRange one;
  one.set_min(1);
  pool.resume(&one);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_QUEUED);
  const std::string worker = pool.agent("other");
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(pool.assignment(worker).world_size(), 1);
  EXPECT_TRUE(pool.assignment(worker).require_checkpoint());
  EXPECT_EQ(pool.job(pool.id).spec().workers().max(), 2);
}

TEST(Pause, WhoseCheckpointFailsGoesOnRunning) {
  Paused pool;
  pool.all_leave(0, 2, false);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(pool.recovery(pool.id).reason(), "CheckpointFailed");
  pool.started(pool.workers[0], 10);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(pool.job(pool.id).reason(), "CheckpointFailed");
  EXPECT_EQ(pool.assignment(pool.workers[1]).attempt(), 1);
}

TEST(Pause, ARankThatDiesMeanwhileDoesNotKeepItFromPausing) {
  Paused pool;
  pool.exit(pool.workers[1], 0, 11);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSING);
  EXPECT_EQ(pool.abandons(pool.workers[0]), 1);
  pool.left(pool.workers[0], 10);
  EXPECT_TRUE(pool.order(pool.workers[0])->checkpoint()) << "what it holds is written";
  pool.checkpoint(pool.workers[0], 10);
  pool.exit(pool.workers[0], 0);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSED);
}

TEST(Pause, AJobThatIsJustDoneMayTakeItsTimeToEnd) {
  Paused pool;
  pool.steps(pool.workers[0], 11, 100);
  pool.checkpoint(pool.workers[0], 100);
  pool.finish(pool.workers[0], v1::OUTCOME_COMPLETED);
  pool.finish(pool.workers[1], v1::OUTCOME_COMPLETED);
  pool.pass_with_beats(seconds(10));
  EXPECT_EQ(pool.stops(pool.workers[0], true) + pool.stops(pool.workers[1], true), 0);
  pool.all_end(0, 2);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_SUCCEEDED);
}

TEST(Pause, AfterItsGraceTheTrainersAreKilled) {
  Paused pool;
  pool.pass_with_beats(seconds(59));
  EXPECT_EQ(pool.stops(pool.workers[0], true), 0);
  pool.pass_with_beats(seconds(1));
  EXPECT_EQ(pool.stops(pool.workers[0], true), 1);
  for (const std::string& worker : pool.workers) pool.exit(worker, 0, 9);
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSED);
}

TEST(Pause, GoesOnAfterARestartOfTheCoordinator) {
  Paused pool;
  const v1::GenerationId old = pool.event(pool.workers[0]).id();
  pool.restart();
  EXPECT_EQ(pool.state(pool.id), v1::JOB_STATE_PAUSING);
  for (const char* incarnation : {"i0", "i1"}) {
    v1::Register again = World::identity(incarnation);
    *again.add_running() = old;
    pool.agent(again);
  }
  ASSERT_NE(pool.order(pool.workers[1]), nullptr) << "the order is repeated";
  EXPECT_TRUE(pool.order(pool.workers[1])->yield());
}

TEST(Pause, InOtherStates) {
  World world;
  const std::string validating = world.submit(World::spec("v"));
  EXPECT_THROW(world.engine->pause(world.now(), validating, seconds(1)), Error);
  const std::string queued = world.queued(World::spec("q", 1, 1));
  world.engine->pause(world.now(), queued, seconds(1));
  EXPECT_EQ(world.state(queued), v1::JOB_STATE_PAUSED);
  const std::string a = world.agent("i0");
  EXPECT_EQ(world.state(queued), v1::JOB_STATE_PAUSED);
  EXPECT_THROW(world.engine->pause(world.now(), queued, seconds(1)), Error);
  world.cancel(queued);
  EXPECT_EQ(world.state(queued), v1::JOB_STATE_CANCELLED);
  const std::string starting = world.queued(World::spec("s", 1, 1));
  world.engine->pause(world.now(), starting, seconds(60));
  EXPECT_EQ(world.state(starting), v1::JOB_STATE_STARTING) << "it cannot vote yet";
  world.flush();
  world.started(a);
  EXPECT_EQ(world.state(starting), v1::JOB_STATE_PAUSING);
  EXPECT_THROW(world.engine->resume(world.now(), starting, nullptr), Error);
}

TEST(Resume, RefusesARangeThatChangesTheSteps) {
  World world;
  v1::JobSpec spec = World::spec("run", 1, 2);
  spec.mutable_loop()->set_train_batches(3);
  const std::string id = world.queued(spec);
  world.engine->pause(world.now(), id, seconds(1));
  v1::WorkerRange range;
  range.set_max(4);
  try {
    world.engine->resume(world.now(), id, &range);
    FAIL() << "another plan";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(error.what(), HasSubstr("loop.train_batches"));
  }
  range.set_max(2);
  range.set_min(3);
  EXPECT_THROW(world.engine->resume(world.now(), id, &range), Error) << "min above max";
  range.set_min(2);
  EXPECT_NO_THROW(world.engine->resume(world.now(), id, &range));
}

}  // namespace
}  // namespace mdgen::coordinator
