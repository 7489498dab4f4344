// Who waits, where, and why; labels of workers and selectors of jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/coordinator/elastic.h"
#include "services/coordinator/queue_text.h"
#include "tests/services/coordinator/gang.h"
#include "tests/services/coordinator/pool.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::Gang;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Pool;
using testing::World;

v1::Register labelled(const std::string& incarnation, const std::string& labels) {
  v1::Register identity = World::identity(incarnation);
  for (const auto& [key, value] : parse_labels("label", labels)) (*identity.mutable_labels())[key] = value;
  return identity;
}

v1::JobSpec selecting(v1::JobSpec spec, const std::string& selector) {
  spec.mutable_workers()->set_selector(selector);
  return spec;
}

// --- the texts ---

TEST(ExplainQueue, PositionsAndReasons) {
  PoolFacts facts{{1, 4}};
  facts.who = [](const std::string& id) { return "job " + id; };
  const Want enough{.job_id = "e", .min = 0, .max = 2, .held = 2};
  const auto waiting = explain_queue({enough, {"a", 3, 3}, {"b", 9, 9}, {"c", 1, 1}}, facts);
  ASSERT_EQ(waiting.size(), 3U) << "who has enough does not wait";
  EXPECT_EQ(waiting[0].position, 1);
  EXPECT_EQ(waiting[0].reason, "WaitingForWorkers");
  EXPECT_EQ(waiting[0].message, "needs 3 free workers; the pool has 4, 1 of them free");
  EXPECT_EQ(waiting[1].position, 0);
  EXPECT_EQ(waiting[1].reason, "Unsatisfiable");
  EXPECT_EQ(waiting[2].position, 2) << "those that the pool cannot hold are not in line";
  EXPECT_EQ(waiting[2].reason, "BehindOthers");
  EXPECT_EQ(waiting[2].message, "needs 1 free worker; the pool has 4, 1 of them free; behind job a");
}

TEST(ExplainQueue, JobsWhoseLabelsExcludeEachOtherAreNotBehindEachOther) {
  const PoolFacts facts{{1, 4}};
  Want a{.job_id = "a", .min = 3, .max = 3, .selector = {{"gpu", "h200"}}};
  Want b{.job_id = "b", .min = 2, .max = 2, .selector = {{"gpu", "a100"}}};
  Want c{.job_id = "c", .min = 2, .max = 2, .selector = {{"zone", "a"}}};
  const auto waiting = explain_queue({a, b, c}, facts);
  EXPECT_EQ(waiting[1].reason, "WaitingForWorkers");
  EXPECT_EQ(waiting[2].reason, "BehindOthers") << "a worker may have both labels";
}

// --- scheduling by labels ---

TEST(Selector, AWaitingJobKeepsOnlyWhatItCouldUse) {
  Want picky{.job_id = "picky", .min = 2, .max = 2, .refused = {"cpu1", "cpu2"}};
  picky.refused_free = picky.refused_total = 2;
  const Want other{.job_id = "other", .min = 1, .max = 3};
  const auto given = schedule({picky, other}, {{"cpu1", "gpu1", "cpu2"}, 4});
  EXPECT_FALSE(given.contains("picky"));
  EXPECT_THAT(given.at("other"), ElementsAre("cpu1", "cpu2")) << "gpu1 is kept for the head";
  EXPECT_TRUE(can_give({picky, other}, {3, 4}));
}

TEST(Selector, TakesOnlyWorkersWithItsLabels) {
  World world;
  const std::string cpu = world.agent(labelled("i0", "zone=a"));
  const std::string gpu = world.agent(labelled("i1", "gpu=h200,zone=a"));
  const std::string id = world.queued(selecting(World::spec("run", 1, 2), "gpu=h200"));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(world.assignment(gpu).world_size(), 1);
  EXPECT_EQ(world.assignment(cpu).world_size(), 0);
  const std::string other = world.queued(World::spec("other", 1, 1));
  EXPECT_EQ(world.assignment(cpu).id().job_id(), other);
}

TEST(Selector, UnsatisfiableNamesTheLabelThatNobodyHas) {
  World world;
  world.agent(labelled("i0", "gpu=h200"));
  const std::string id = world.queued(selecting(World::spec("run", 1, 1), "gpu=h200,zone=b"));
  const v1::QueueInfo& queue = world.job(id).queue();
  EXPECT_EQ(queue.reason(), "Unsatisfiable");
  EXPECT_EQ(queue.position(), 0);
  EXPECT_EQ(
      queue.message(),
      "needs 1 free worker with gpu=h200,zone=b; the pool has 1, of which it can use 0, 0 of them free; no "
      "worker has zone=b");
  const std::string other = world.queued(World::spec("other", 1, 1));
  EXPECT_EQ(world.state(other), v1::JOB_STATE_STARTING) << "it holds nobody back";
  world.agent(labelled("i1", "gpu=h200,zone=b"));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_FALSE(world.job(id).has_queue());
}

TEST(Selector, RecoveryAndGrowthKeepToIt) {
  World world;
  world.steady += world.options.reconnect_grace;
  world.engine->tick(world.now());
  const std::string a = world.agent(labelled("i0", "gpu=h200"));
  const std::string b = world.agent(labelled("i1", "gpu=h200"));
  const std::string plain = world.agent(labelled("i2", ""));
  const std::string id = world.queued(selecting(World::spec("run", 1, 3), "gpu"));
  world.started(a);
  world.steps(a, 1, 10);
  world.exit(b, 0, 9);
  world.left(a, 10);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(world.assignment(a).world_size(), 2) << "the other worker's next trainer";
  EXPECT_EQ(world.assignment(plain).world_size(), 0);
  world.started(a, 10);
  world.steps(a, 11, 12);
  world.pass_with_beats(seconds(120));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(world.order(a), nullptr) << "the free one is of no use to it";
  world.agent(labelled("i3", "gpu=a100"));
  world.pass_with_beats(seconds(1));
  EXPECT_NE(world.order(a), nullptr) << "this one is";
}

TEST(Selector, OnlyWorkersOfUseAreTakenFromOthers) {
  const Want head{
      .job_id = "head", .min = 2, .max = 2, .refused = {"c1", "c2"}, .priority = 5, .queued = true};
  Holding plain{.job_id = "plain", .workers = 2, .min = 1, .max = 2, .steady = true, .fits = 0};
  EXPECT_THAT(rebalance({plain}, {head}, {0, 4}), IsEmpty()) << "neither shrunk nor pre-empted in vain";
  Holding mixed{.job_id = "mixed", .workers = 3, .min = 1, .max = 3, .steady = true, .fits = 2};
  const auto changes = rebalance({plain, mixed}, {head}, {0, 5});
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(std::get<Preempt>(changes[0]).job_id, "mixed");
}

// --- the queue ---

TEST(Queue, SaysPositionReasonAndSince) {
  World world;
  world.agent("i0");
  world.agent("i1");
  const std::string running = world.queued(World::spec("running", 1, 1));
  const std::string first = world.queued(World::spec("first", 2, 2));
  world.pass(seconds(5));
  const auto since = world.job(first).queue().since();
  const std::string second = world.queued(World::spec("second", 1, 1));
  EXPECT_EQ(world.job(first).queue().position(), 1);
  EXPECT_EQ(world.job(first).queue().reason(), "WaitingForWorkers");
  EXPECT_EQ(world.job(second).queue().position(), 2);
  EXPECT_EQ(world.job(second).reason(), "BehindOthers");
  EXPECT_THAT(world.job(second).queue().message(), HasSubstr("behind first (" + first + ")"));
  EXPECT_LT(since.seconds(), world.job(second).queue().since().seconds());
  EXPECT_EQ(world.job(first).queue().since().seconds(), since.seconds());

  const v1::GetQueueResponse queue = world.engine->queue();
  ASSERT_EQ(queue.entries_size(), 2);
  EXPECT_EQ(queue.entries(0).job_id(), first);
  EXPECT_EQ(queue.entries(0).min_workers(), 2);
  EXPECT_EQ(queue.entries(1).name(), "second");
  EXPECT_EQ(queue.free_workers(), 1);
  EXPECT_EQ(queue.total_workers(), 2);
  EXPECT_FALSE(world.job(running).has_queue());
}

TEST(Queue, PriorityGoesFirstAndAnUpdateSortsAgain) {
  World world;
  world.agent("i0");
  world.queued(World::spec("running", 1, 1));
  const std::string a = world.queued(World::spec("a", 1, 1));
  const std::string b = world.queued(World::spec("b", 1, 1));
  v1::UpdateJobRequest update;
  update.set_id(b);
  update.set_priority(7);
  EXPECT_EQ(world.engine->update(world.now(), update, "kim").priority(), 7);
  world.flush();
  EXPECT_EQ(world.job(b).queue().position(), 1);
  EXPECT_EQ(world.job(a).queue().position(), 2);
  EXPECT_EQ(world.engine->queue().entries(0).job_id(), b);
  EXPECT_EQ(world.engine->queue().entries(0).priority(), 7);
}

TEST(Queue, ABackOffAndAGangBelowItsMinimumAreInIt) {
  Gang gang(2, 2, 2);
  gang.lose(gang[1]);
  gang.left(gang[0], 10);
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(gang.job(gang.id).queue().reason(), "Unsatisfiable") << "one worker is left of two";
  EXPECT_EQ(gang.job(gang.id).reason(), "WorkerLost") << "what the job says of itself stays";
  gang.agent("i9");
  EXPECT_EQ(gang.state(gang.id), v1::JOB_STATE_STARTING);
  EXPECT_FALSE(gang.job(gang.id).has_queue());
}

TEST(Update, OfAPriorityMayPreempt) {
  Pool pool;
  pool.add(2);
  const std::string low = pool.run(World::spec("low", 2, 2));
  const std::string other = pool.queued(World::spec("other", 2, 2));
  pool.pass_with_beats(seconds(2));
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_RUNNING);
  v1::UpdateJobRequest update;
  update.set_id(other);
  update.set_priority(1);
  pool.engine->update(pool.now(), update);
  pool.pass_with_beats(seconds(1));
  EXPECT_EQ(pool.state(low), v1::JOB_STATE_CHECKPOINTING);
  EXPECT_EQ(pool.job(low).reason(), "Preempted");
}

// --- workers ---

TEST(Workers, SayWhatTheyAreAndDo) {
  Gang gang(1);
  v1::Register identity = labelled("i5", "gpu=h200");
  identity.set_version("0.2.0");
  const std::string free = gang.agent(identity);
  gang.beat(0, v1::TRAINER_PHASE_REDUCE, 11);
  gang.steady += seconds(2);
  const auto workers = gang.engine->workers();
  const v1::Worker busy = gang.engine->view(*workers.at(0), gang.now());
  EXPECT_EQ(busy.state(), "BUSY");
  EXPECT_EQ(busy.job_id(), gang.id);
  EXPECT_EQ(busy.rank(), 0);
  EXPECT_EQ(busy.phase(), v1::TRAINER_PHASE_REDUCE);
  EXPECT_EQ(busy.step(), 11);
  EXPECT_DOUBLE_EQ(busy.beat_age_seconds(), 2.0);
  const v1::Worker idle = gang.engine->view(*workers.at(1), gang.now());
  EXPECT_EQ(idle.id(), free);
  EXPECT_EQ(idle.state(), "FREE");
  EXPECT_EQ(idle.rank(), -1);
  EXPECT_EQ(idle.labels().at("gpu"), "h200");
  EXPECT_EQ(idle.version(), "0.2.0");
  EXPECT_GT(idle.connected_at().seconds(), 1'800'000'000);
}

TEST(Workers, RanksAreInTheJob) {
  Gang gang(2);
  v1::Beat beat;
  beat.set_phase(v1::TRAINER_PHASE_COMPUTE);
  beat.set_step(11);
  beat.set_compute_seconds(0.25);
  const std::uint64_t before = gang.engine->job(gang.id).version;
  gang.engine->beat(gang.now(), gang[1], beat);
  EXPECT_GT(gang.engine->job(gang.id).version, before);
  gang.steady += seconds(1);
  const v1::Job job = gang.engine->view(gang.engine->job(gang.id), gang.now());
  ASSERT_EQ(job.ranks_size(), 2);
  EXPECT_EQ(job.ranks(1).rank(), 1);
  EXPECT_EQ(job.ranks(1).worker_id(), gang[1]);
  EXPECT_EQ(job.ranks(1).host(), "node1");
  EXPECT_EQ(job.ranks(1).attempt(), 1);
  EXPECT_EQ(job.ranks(1).phase(), v1::TRAINER_PHASE_COMPUTE);
  EXPECT_EQ(job.ranks(1).step(), 11);
  EXPECT_DOUBLE_EQ(job.ranks(1).compute_seconds(), 0.25);
  EXPECT_DOUBLE_EQ(job.ranks(1).beat_age_seconds(), 1.0);
}

TEST(DrainWorker, IsToldToLeaveAndGetsNoMoreWork) {
  Gang gang(2, 1, 2);
  gang.engine->order_drain(gang.now(), gang[1], "kim");
  gang.flush();
  const auto told = [&](const std::string& worker) {
    for (const auto& message : gang.inbox[worker])
      if (message.has_drain()) return message.drain().reason();
    return std::string();
  };
  EXPECT_EQ(told(gang[1]), "it is drained by kim");
  EXPECT_EQ(gang.engine->view(*gang.engine->workers().at(1), gang.now()).state(), "DRAINING");
  EXPECT_THAT(gang.job(gang.id).warnings(0), HasSubstr("leaves: it is drained by kim"));
  EXPECT_EQ(gang.engine->queue().total_workers(), 1);
  gang.left_agreed(gang[0], 11, true);
  gang.left_agreed(gang[1], 11, true);
  EXPECT_EQ(gang.assignment(gang[0]).world_size(), 1) << "the job goes on without it";
  EXPECT_THROW(gang.engine->order_drain(gang.now(), "w-nobody", ""), Error);

  gang.inbox[gang[1]].clear();
  gang.agent("i1");
  EXPECT_EQ(told(gang[1]), "it is drained by kim") << "again after its connection was lost";
}

}  // namespace
}  // namespace mdgen::coordinator
