// Priorities, growth, shrinking, pre-emption, pauses.
#include "services/coordinator/elastic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/base/error.h"
#include "tests/services/coordinator/fake_world.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::World;

// --- the pure decision ---

Holding holding(const std::string& id, int workers, int min, int max, int priority = 0) {
  return {id, priority, workers, min, max, true, true, 0};
}
Want queued(const std::string& id, int min, int priority = 0) {
  Want want{.job_id = id, .min = min, .max = min};
  want.priority = priority;
  want.queued = true;
  return want;
}

std::vector<std::string> text(const std::vector<Change>& changes) {
  std::vector<std::string> list;
  for (const Change& change : changes) {
    if (const auto* grow = std::get_if<Grow>(&change)) list.push_back("grow " + grow->job_id);
    if (const auto* shrink = std::get_if<Shrink>(&change))
      list.push_back("shrink " + shrink->job_id + " to " + std::to_string(shrink->to));
    if (const auto* preempt = std::get_if<Preempt>(&change))
      list.push_back("preempt " + preempt->job_id + " for " + preempt->for_job);
  }
  return list;
}

struct Case {
  const char* what;
  std::vector<Holding> holdings;
  std::vector<Want> queue;
  PoolSize size;
  std::vector<std::string> changes;
};

TEST(Rebalance, Table) {
  Holding tired = holding("a", 1, 1, 3);
  tired.rested = false;
  Holding busy = holding("a", 4, 1, 4);
  busy.steady = false;
  Holding leaving = holding("a", 2, 1, 4);
  leaving.steady = false;
  leaving.gives_back = 2;
  const Case table[] = {
      {"grows into what is free", {holding("a", 1, 1, 3)}, {}, {1, 2}, {"grow a"}},
      {"nothing is free", {holding("a", 1, 1, 3)}, {}, {0, 1}, {}},
      {"not so soon", {tired}, {}, {1, 2}, {}},
      {"it has enough", {holding("a", 3, 1, 3)}, {}, {1, 4}, {}},
      {"the higher priority first",
       {holding("a", 1, 1, 2), holding("b", 1, 1, 2, 3)},
       {},
       {1, 3},
       {"grow b"}},
      {"not while somebody waits", {holding("a", 1, 1, 3)}, {queued("q", 2)}, {1, 2}, {}},
      {"one that can never start holds up nobody",
       {holding("a", 1, 1, 3)},
       {queued("q", 9)},
       {1, 2},
       {"grow a"}},
      {"surplus goes to the head", {holding("a", 4, 1, 4)}, {queued("q", 2)}, {0, 4}, {"shrink a to 2"}},
      {"the youngest gives first",
       {holding("a", 2, 1, 2), holding("b", 2, 1, 2)},
       {queued("q", 1)},
       {0, 4},
       {"shrink b to 1"}},
      {"the lower priority gives first",
       {holding("a", 2, 1, 2), holding("b", 2, 1, 2, 1)},
       {queued("q", 1, 5)},
       {0, 4},
       {"shrink a to 1"}},
      {"surplus before pre-emption",
       {holding("a", 3, 1, 3), holding("b", 1, 1, 1)},
       {queued("q", 2, 5)},
       {0, 4},
       {"shrink a to 1"}},
      {"equal priority is not pre-empted", {holding("a", 2, 2, 2)}, {queued("q", 2)}, {0, 2}, {}},
      {"lower priority is", {holding("a", 2, 2, 2)}, {queued("q", 2, 1)}, {0, 2}, {"preempt a for q"}},
      {"only if it suffices",
       {holding("a", 2, 2, 2), holding("b", 2, 2, 2, 9)},
       {queued("q", 4, 1)},
       {0, 4},
       {}},
      {"no more than is needed",
       {holding("a", 1, 1, 1), holding("b", 3, 3, 3)},
       {queued("q", 3, 1)},
       {0, 4},
       {"preempt b for q"}},
      {"who is asked already is not asked again", {busy}, {queued("q", 2)}, {0, 4}, {}},
      {"what is about to be free counts", {leaving, holding("b", 2, 1, 2)}, {queued("q", 2)}, {0, 4}, {}},
  };
  for (const Case& row : table)
    EXPECT_EQ(text(rebalance(row.holdings, row.queue, row.size)), row.changes) << row.what;
}

// Whatever the pool: nobody falls below its minimum, nobody of the head's priority or above is pre-empted,
// and what is asked for gives the head what it needs.
TEST(Rebalance, KeepsItsPromises) {
  std::mt19937 random(11);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  int asked = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<Holding> holdings;
    PoolSize size{draw(0, 2), 0};
    size.total = size.free;
    for (int job = draw(0, 4); job > 0; --job) {
      const int min = draw(1, 3);
      Holding one = holding("j" + std::to_string(job), min + draw(0, 3), min, min + 4, draw(0, 3));
      one.steady = draw(0, 4) != 0;
      size.total += one.workers;
      holdings.push_back(one);
    }
    const Want head = queued("head", draw(1, 8), draw(0, 3));
    const auto changes = rebalance(holdings, {head}, size);
    if (!head.feasible(size.total)) continue;
    int gained = size.free;
    for (const Change& change : changes) {
      ASSERT_FALSE(std::holds_alternative<Grow>(change));
      const std::string& id =
          std::visit([](const auto& one) -> const std::string& { return one.job_id; }, change);
      const auto giver = std::find_if(holdings.begin(), holdings.end(),
                                      [&](const Holding& one) { return one.job_id == id; });
      EXPECT_TRUE(giver->steady);
      if (const auto* shrink = std::get_if<Shrink>(&change)) {
        EXPECT_GE(shrink->to, giver->min);
        gained += giver->workers - shrink->to;
      } else {
        EXPECT_LT(giver->priority, head.priority);
        gained += giver->workers;
      }
    }
    if (changes.empty()) continue;
    ++asked;
    EXPECT_GE(gained, head.min);
  }
  EXPECT_GT(asked, 2000);
}

// --- the engine ---

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

// A job that runs on all of `workers` at step 10.
struct Pool : World {
  std::string run(const v1::JobSpec& spec) {
    const std::string id = queued(spec);
    started(workers[0]);
    steps(workers[0], 1, 10);
    return id;
  }
  void add(int count) {
    for (int i = 0; i < count; ++i) workers.push_back(agent("i" + std::to_string(workers.size())));
  }
  void all_leave(std::size_t first, std::size_t count, bool checkpointed = false) {
    if (checkpointed) checkpoint(workers[first], 10);
    for (std::size_t i = first; i < first + count; ++i) left_agreed(workers[i], 10, checkpointed);
  }
  void all_end(std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) exit(workers[i], 0);
  }
  const v1::Recovery& recovery(const std::string& id) const {
    return job(id).recoveries(job(id).recoveries_size() - 1);
  }
  std::vector<std::string> workers;
};

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

TEST(Inject, GoesToTheWorkerOfTheRank) {
  Pool pool;
  pool.add(2);
  const std::string id = pool.run(World::spec("run", 2, 2));
  v1::Fault fault;
  EXPECT_THROW(pool.engine->inject(id, 1, fault), Error) << "of no kind";
  fault.set_kind(v1::FAULT_KIND_KILL);
  EXPECT_THROW(pool.engine->inject(id, 2, fault), Error) << "no such rank";
  const Injected injected = pool.engine->inject(id, 1, fault);
  pool.flush();
  EXPECT_EQ(injected.worker_id, pool.workers[1]);
  EXPECT_EQ(injected.generation, 1);
  const v1::CoordinatorMessage& message = pool.inbox[pool.workers[1]].back();
  EXPECT_EQ(message.inject().rank(), 1);
  EXPECT_EQ(message.inject().fault().kind(), v1::FAULT_KIND_KILL);
  const std::string queued = pool.queued(World::spec("queued", 2, 2));
  EXPECT_THROW(pool.engine->inject(queued, 0, fault), Error) << "it has no trainers";
}

}  // namespace
}  // namespace mdgen::coordinator
