// Priorities, growth, shrinking, pre-emption, injected faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/services/coordinator/pool.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using testing::Pool;
using testing::World;

v1::JobSpec with_priority(v1::JobSpec spec, int priority) {
  spec.set_priority(priority);
  return spec;
}

TEST(Priority, GoesFirstInTheQueue) {
  World world;
  const std::string low = world.queued(World::spec("low", 1, 1));
  const std::string high = world.queued(with_priority(World::spec("high", 1, 1), 5));
  const std::string also_high = world.queued(with_priority(World::spec("also_high", 1, 1), 5));
  world.agent("i0");
  EXPECT_EQ(world.state(high), v1::JOB_STATE_STARTING);
  world.agent("i1");
  EXPECT_EQ(world.state(also_high), v1::JOB_STATE_STARTING) << "the older first among equals";
  EXPECT_EQ(world.state(low), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(world.job(high).priority(), 5);
}

TEST(Growth, AtAnAgreedBoundaryAMinuteAfterTheLastChange) {
  Pool pool;
  pool.add(1);
  const std::string id = pool.run(World::spec("run", 1, 3));
  pool.add(2);
  pool.pass_with_beats(seconds(59));
  EXPECT_EQ(pool.order(pool.workers[0]), nullptr);
  pool.pass_with_beats(seconds(2));
  ASSERT_NE(pool.order(pool.workers[0]), nullptr);
  EXPECT_TRUE(pool.order(pool.workers[0])->yield());
  EXPECT_FALSE(pool.order(pool.workers[0])->checkpoint());
  EXPECT_EQ(pool.state(id), v1::JOB_STATE_RUNNING) << "it trains until then";
  pool.all_leave(0, 1);
  EXPECT_EQ(pool.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(pool.assignment(pool.workers[2]).world_size(), 3);
  EXPECT_EQ(pool.assignment(pool.workers[0]).rank(), 0);
  EXPECT_EQ(pool.assignment(pool.workers[0]).attempt(), 1);
  EXPECT_EQ(pool.job(id).restarts(), 0);
  EXPECT_EQ(pool.recovery(id).reason(), "WorkersAdded");
  EXPECT_EQ(pool.recovery(id).workers(), 3);
}

TEST(Reclaim, TheHeadOfTheQueueGetsWhatIsAboveMin) {
  Pool pool;
  pool.add(4);
  const std::string id = pool.run(World::spec("run", 1, 4));
  const std::string next = pool.queued(World::spec("next", 2, 2));
  pool.pass_with_beats(seconds(1));
  ASSERT_NE(pool.order(pool.workers[3]), nullptr);
  EXPECT_TRUE(pool.order(pool.workers[3])->yield());
  pool.all_leave(0, 4);
  EXPECT_EQ(pool.assignment(pool.workers[0]).world_size(), 2);
  EXPECT_EQ(pool.assignment(pool.workers[1]).world_size(), 2);
  EXPECT_EQ(pool.stops(pool.workers[2], true) + pool.stops(pool.workers[3], true), 2);
  EXPECT_EQ(pool.state(next), v1::JOB_STATE_QUEUED);
  for (std::size_t worker : {2, 3}) pool.exit(pool.workers[worker], 0, 9);
  EXPECT_EQ(pool.state(next), v1::JOB_STATE_STARTING);
  EXPECT_EQ(pool.recovery(id).reason(), "WorkersReclaimed");
  pool.started(pool.workers[0], 10);
  pool.steps(pool.workers[0], 11, 12);
  pool.pass_with_beats(seconds(120));
  EXPECT_EQ(pool.stops(pool.workers[2], false), 1) << "once: the first job does not want it back by force";
}

TEST(Preemption, CheckpointsAndQueuesTheLowerPriority) {
  Pool pool;
  pool.add(2);
  const std::string low = pool.run(World::spec("low", 2, 2));
  const std::string high = pool.queued(with_priority(World::spec("high", 2, 2), 1));
  pool.pass_with_beats(seconds(1));
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_CHECKPOINTING);
  EXPECT_EQ(pool.job(low).reason(), "Preempted");
  ASSERT_NE(pool.order(pool.workers[1]), nullptr);
  EXPECT_TRUE(pool.order(pool.workers[1])->checkpoint());
  pool.all_leave(0, 2, true);
  pool.all_end(0, 2);
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(pool.job(low).reason(), "WaitingForWorkers");
  EXPECT_EQ(pool.state(high), v1::JOB_STATE_STARTING);
  EXPECT_EQ(pool.job(low).checkpoint_step(), 10);
  EXPECT_EQ(pool.job(low).restarts(), 0);
}

TEST(Preemption, WhoseCheckpointFailsGoesOn) {
  Pool pool;
  pool.add(2);
  const std::string low = pool.run(World::spec("low", 2, 2));
  pool.queued(with_priority(World::spec("high", 2, 2), 1));
  pool.pass_with_beats(seconds(1));
  pool.all_leave(0, 2, false);
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_STARTING) << "its workers are kept";
  pool.started(pool.workers[0], 10);
  pool.steps(pool.workers[0], 11, 12);
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(pool.job(low).reason(), "CheckpointFailed");
  pool.pass_with_beats(seconds(30));
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_RUNNING) << "it is left alone for a while";
}

TEST(Preemption, WaitsAsLongAsStepAndCheckpointMayTake) {
  Pool pool;
  pool.add(2);
  const std::string low = pool.run(World::spec("low", 2, 2));
  pool.queued(with_priority(World::spec("high", 2, 2), 1));
  pool.pass_with_beats(seconds(1800));
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_CHECKPOINTING);
  EXPECT_EQ(pool.stops(pool.workers[0], true), 0);
  pool.pass_with_beats(seconds(11));
  EXPECT_EQ(pool.stops(pool.workers[0], true), 1);
}

TEST(Inject, GoesToTheWorkerOfTheRank) {
  Pool pool;
  pool.add(2);
  const std::string id = pool.run(World::spec("run", 2, 2));
  v1::Fault fault;
  EXPECT_THROW(pool.engine->inject(pool.now(), id, 1, fault), Error) << "of no kind";
  fault.set_kind(v1::FAULT_KIND_KILL);
  EXPECT_THROW(pool.engine->inject(pool.now(), id, 2, fault), Error) << "no such rank";
  const Injected injected = pool.engine->inject(pool.now(), id, 1, fault);
  pool.flush();
  EXPECT_EQ(injected.worker_id, pool.workers[1]);
  EXPECT_EQ(injected.generation, 1);
  const v1::CoordinatorMessage& message = pool.inbox[pool.workers[1]].back();
  EXPECT_EQ(message.inject().rank(), 1);
  EXPECT_EQ(message.inject().fault().kind(), v1::FAULT_KIND_KILL);
  const std::string queued = pool.queued(World::spec("queued", 2, 2));
  EXPECT_THROW(pool.engine->inject(pool.now(), queued, 0, fault), Error) << "it has no trainers";
}

}  // namespace
}  // namespace mdgen::coordinator
