// What keeps the coordinator's work proportional to the number of ranks decides the same as before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/services/coordinator/fake_world.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::World;

TEST(CanGive, SaysWhetherTheScheduleGives) {
  std::mt19937 random(7);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  int given = 0;
  for (int round = 0; round < 5000; ++round) {
    Pool pool;
    for (int worker = draw(0, 6); worker > 0; --worker) pool.free.push_back("w" + std::to_string(worker));
    const int free = static_cast<int>(pool.free.size());
    pool.total = free + draw(0, 4);
    std::vector<Want> wants;
    for (int job = draw(0, 3); job > 0; --job) {
      const int min = draw(1, 8);
      wants.push_back({"job" + std::to_string(job), min, min + draw(0, 4)});
    }
    const bool gives = !schedule(wants, pool).empty();
    given += gives ? 1 : 0;
    EXPECT_EQ(can_give(wants, {free, pool.total}), gives) << round;
  }
  EXPECT_GT(given, 500);
}

TEST(WorkerRegistry, KnowsWhoIsFreeAndWhoHoldsASlot) {
  WorkerRegistry registry;
  const Clock::Steady now{};
  v1::GenerationId id;
  id.set_job_id("job");
  registry.add("w1", World::identity("i1", "cuda:0"), now);
  registry.add("w2", World::identity("i2", "cuda:1"), now);
  registry.add("w3", World::identity("i3"), now);
  EXPECT_THAT(registry.pool().free, ElementsAre("w1", "w2", "w3"));

  registry.occupy(*registry.find("w1"), id, 4);
  EXPECT_EQ(registry.size().free, 2);
  EXPECT_EQ(registry.size().total, 3);
  EXPECT_THAT(registry.pool().free, ElementsAre("w2", "w3"));
  registry.release(*registry.find("w1"));
  EXPECT_THAT(registry.pool().free, ElementsAre("w1", "w2", "w3")) << "in the order of registration";

  EXPECT_THROW(registry.add("w4", World::identity("i4", "cuda:1"), now), Error);
  EXPECT_EQ(registry.size().total, 3);
  registry.occupy(*registry.find("w2"), id, 5);
  registry.add("w2", World::identity("i2", "cuda:1"), now);  // it has connected again
  EXPECT_THAT(registry.pool().free, ElementsAre("w1", "w3", "w2"));
  EXPECT_EQ(registry.by_incarnation("i2")->id, "w2");

  registry.remove("w2");
  EXPECT_EQ(registry.by_incarnation("i2"), nullptr);
  registry.add("w4", World::identity("i4", "cuda:1"), now);
  registry.remove("w4");
  registry.remove("w4");
  EXPECT_THAT(registry.pool().free, ElementsAre("w1", "w3"));
}

// Two jobs, of which the first still waits for a member's end while the other one works for the second.
struct TwoGenerations : World {
  TwoGenerations() {
    a = agent("i0");
    b = agent("i1");
    first = queued(spec("first", 2, 2));
    started(a);
    finish(b, v1::OUTCOME_COMPLETED);
    exit(b, 0);
    second = queued(spec("second", 1, 1));
    started(b);
  }
  std::string a, b, first, second;
};

TEST(Seats, AWorkerOfTwoOpenGenerationsIsLostToTheOneThatStillNeedsIt) {
  TwoGenerations world;
  ASSERT_EQ(world.state(world.first), v1::JOB_STATE_RUNNING);
  ASSERT_EQ(world.state(world.second), v1::JOB_STATE_RUNNING);
  world.lose(world.b);
  EXPECT_EQ(world.state(world.first), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(world.state(world.second), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(world.job(world.second).reason(), "WorkerLost");
}

TEST(Seats, AnAgentThatConnectsAgainKeepsItsPlace) {
  TwoGenerations world;
  v1::Register again = World::identity("i1");
  *again.add_running() = world.assignment(world.b).id();
  EXPECT_EQ(world.agent(again), world.b);
  world.pass_with_beats(milliseconds(20000));
  EXPECT_EQ(world.state(world.second), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(world.state(world.first), v1::JOB_STATE_RUNNING);
}

TEST(Beats, KeepTheTrainerOfTheirOwnRankAlive) {
  World world;
  world.options.trainer_silent_after = milliseconds(10000);
  world.restart();
  world.pass(world.options.reconnect_grace);
  const std::string a = world.agent("i0");
  const std::string b = world.agent("i1");
  const std::string id = world.queued(World::spec("run", 2, 2));
  world.started(a);
  for (int second = 0; second < 11; ++second) {
    v1::Beat beat;
    world.engine->beat(world.now(), b, beat);  // the agent is well, of the trainer it knows nothing
    beat.set_phase(v1::TRAINER_PHASE_COMPUTE);
    world.engine->beat(world.now(), a, beat);
    world.pass(milliseconds(1000));
  }
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(world.job(id).reason(), "TrainerSilent");
  EXPECT_THAT(world.job(id).message(), HasSubstr("rank 1"));
}

TEST(Progress, OfAllJobsIsOneTransaction) {
  World world;
  std::vector<std::string> workers;
  for (int job = 0; job < 8; ++job) {
    workers.push_back(world.agent("i" + std::to_string(job)));
    world.queued(World::spec("run" + std::to_string(job), 1, 1));
    world.started(workers.back());
    world.pass(milliseconds(125));
  }
  world.pass(milliseconds(1000));
  const int before = world.store.saves;
  for (int step = 1; step <= 30; ++step) {
    for (const std::string& worker : workers) world.step(worker, step);
    world.pass(milliseconds(100));
  }
  EXPECT_GE(world.store.saves - before, 2);
  EXPECT_LE(world.store.saves - before, 4) << "three seconds, whatever the number of jobs";
}

TEST(Evidence, OfThousandsOfFollowingFailuresNoneIsKept) {
  World world;
  std::vector<std::string> workers;
  for (int rank = 0; rank < 50; ++rank) workers.push_back(world.agent("i" + std::to_string(rank)));
  const std::string id = world.queued(World::spec("run", 50, 50));
  world.started(workers[0]);
  for (int rank = 1; rank < 50; ++rank)
    world.finish(workers[static_cast<std::size_t>(rank)], v1::OUTCOME_FAILED, "Unavailable",
                 "a peer is gone");
  EXPECT_EQ(world.engine->job(id).generation->evidence.size(), 1u);
  world.exit(workers[0], 0, 11);
  EXPECT_EQ(world.job(id).reason(), "TrainerKilled") << "a process that died outweighs them";
  EXPECT_THAT(world.job(id).message(), HasSubstr("rank 0"));
}

}  // namespace
}  // namespace mdgen::coordinator
