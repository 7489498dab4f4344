#include "services/coordinator/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/fake_world.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::World;

std::vector<v1::JobState> states(const v1::Job& job) {
  std::vector<v1::JobState> list;
  for (const auto& transition : job.transitions()) list.push_back(transition.state());
  return list;
}

// A job of two workers that runs at step `last`.
struct Running : World {
  explicit Running(std::int64_t last = 10, int min = 1) {
    steady += options.reconnect_grace;
    engine->wake(now());
    a = agent("i0");
    b = agent("i1");
    id = queued(spec("run", min, 2));
    started(a);
    steps(a, 1, last);
  }
  std::string a, b, id;
};

TEST(Engine, WholeLifeOfAJob) {
  World world;
  const std::string a = world.agent("i0");
  const std::string b = world.agent("i1");
  const std::string id = world.submit(World::spec("run"));
  ASSERT_EQ(world.builds.size(), 1U);
  EXPECT_EQ(world.builds[0].job_id, id);
  world.validate(id, 3);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);

  const v1::Assignment first = world.assignment(a);
  EXPECT_EQ(first.id().generation(), 1);
  EXPECT_EQ(first.rank(), 0);
  EXPECT_EQ(world.assignment(b).rank(), 1);
  EXPECT_EQ(first.world_size(), 2);
  EXPECT_EQ(first.attempt(), 1);
  EXPECT_EQ(first.run_folder(), "/runs/run");
  EXPECT_EQ(first.threads(), 4) << "eight CPUs of one machine for two trainers";
  EXPECT_EQ(first.bind_address(), "10.0.0.1");
  EXPECT_EQ(first.manifest_digest(), "manifest");
  EXPECT_FALSE(first.has_manifest()) << "too large for each of thousands of ranks";
  EXPECT_EQ(first.plan().plan_digest(), "plan");
  EXPECT_EQ(first.plan().first_step(), -1);
  EXPECT_EQ(first.plan().end_step(), 3);
  EXPECT_EQ(first.lease().duration_ms(), 600'000);
  EXPECT_FALSE(first.require_checkpoint());

  world.started(a);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RUNNING);
  world.step(a, 1, 4.0);
  world.step(a, 2, 2.0);
  EXPECT_EQ(world.job(id).step(), 2);
  EXPECT_DOUBLE_EQ(world.job(id).first_loss(), 4.0);
  EXPECT_DOUBLE_EQ(world.job(id).loss(), 2.0);
  EXPECT_DOUBLE_EQ(world.job(id).tokens_per_second(), 200.0);
  EXPECT_DOUBLE_EQ(world.job(id).eta_seconds(), 0.5);
  world.step(a, 3, 1.0);
  world.checkpoint(a, 3);
  world.finish(a, v1::OUTCOME_COMPLETED);
  world.exit(a, 0);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RUNNING) << "rank 1 has not ended";
  world.exit(b, 0);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_THAT(world.job(id).message(), HasSubstr("verified"));
  EXPECT_TRUE(world.job(id).has_ended_at());
  EXPECT_EQ(states(world.job(id)),
            (std::vector{v1::JOB_STATE_VALIDATING, v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING,
                         v1::JOB_STATE_RUNNING, v1::JOB_STATE_SUCCEEDED}));
  EXPECT_EQ(world.engine->workers().size(), 2U);
}

TEST(Engine, ThreadsPerWorker_ReplacesTheShareOfTheMachine) {
  World world;
  const std::string a = world.agent("i0");
  world.agent("i1");
  v1::JobSpec spec = World::spec("run");
  spec.set_threads_per_worker(3);
  world.validate(world.submit(spec), 3);
  EXPECT_EQ(world.assignment(a).threads(), 3);
}

TEST(Engine, StateIsStoredBeforeAnythingIsSent) {
  World world;
  world.agent("i0");
  world.store.broken = true;
  world.engine->submit(world.now(), World::spec("run"), "r", World::fresh_folder(World::spec("run")));
  EXPECT_THROW(world.flush(), Error);
  EXPECT_TRUE(world.builds.empty());
  world.store.broken = false;
  world.flush();
  EXPECT_EQ(world.builds.size(), 1U);
}

TEST(Engine, CompletedWithoutAVerifiedCheckpointIsAFailure) {
  Running run(100);
  run.checkpoint(run.a, 100, false);
  run.finish(run.a, v1::OUTCOME_COMPLETED);
  run.exit(run.a, 0);
  run.exit(run.b, 0);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(run.job(run.id).reason(), "NoFinalCheckpoint");
}

TEST(Engine, ValidationAloneNeedsNoCheckpoint) {
  World world;
  const std::string a = world.agent("i0");
  v1::JobSpec spec = World::spec("run", 1, 1);
  spec.mutable_loop()->set_validate(true);
  const std::string id = world.submit(spec);
  world.validate(id, 0);
  EXPECT_EQ(world.assignment(a).plan().end_step(), 0);
  world.started(a);
  auto report = world.event(a);
  report.mutable_validation()->set_val_loss(0.5);
  world.say(a, report);
  world.finish(a, v1::OUTCOME_COMPLETED);
  world.exit(a, 0);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(world.job(id).reason(), "Validated");
  EXPECT_EQ(world.job(id).message(), "the initial weights have val_loss 0.500000");
  EXPECT_EQ(world.job(id).step(), 0);
  EXPECT_EQ(world.job(id).val_loss(), 0.5);
}

TEST(Engine, ResumedJobWithNothingLeftToDoSucceeds) {
  World world;
  const std::string a = world.agent("i0");
  const std::string id = world.queued(World::spec("run", 1, 1));
  world.started(a, 100, "step-100");
  world.finish(a, v1::OUTCOME_COMPLETED);
  world.exit(a, 0);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_SUCCEEDED);
}

TEST(Engine, BadDataSetFailsTheJob) {
  World world;
  const std::string id = world.submit(World::spec("run"));
  world.engine->validation_failed(world.now(), id, "InvalidDataset", "a.npy is missing");
  world.flush();
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).message(), "a.npy is missing");
}

TEST(Engine, QueueWaitsForAGangAndSaysSo) {
  World world;
  world.agent("i0");
  const std::string id = world.queued(World::spec("run", 2, 2));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(world.job(id).reason(), "Unsatisfiable");
  EXPECT_THAT(world.job(id).message(), HasSubstr("needs 2 free workers"));
  world.agent("i1");
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
}

TEST(Engine, SameRequestIdIsTheSameJob) {
  World world;
  const std::string first = world.submit(World::spec("run"), "request");
  EXPECT_EQ(world.submit(World::spec("other"), "request"), first);
  EXPECT_EQ(world.engine->jobs().size(), 1U);
  world.restart();
  EXPECT_EQ(world.submit(World::spec("other"), "request"), first);
}

TEST(Engine, GpuSlotIsHeldOnce) {
  World world;
  const std::string holder = world.agent(World::identity("i0", "cuda:0"));
  world.agent(World::identity("i1", "cuda:1"));
  try {
    world.agent(World::identity("i2", "cuda:0"));
    FAIL() << "a second holder of cuda:0";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kAlreadyExists);
    EXPECT_THAT(error.what(), HasSubstr(holder));
  }
  world.lose(holder);
  EXPECT_NO_THROW(world.agent(World::identity("i2", "cuda:0")));
}

TEST(Engine, ExchangeGivesEveryRankAllBlobs) {
  Running run;
  EXPECT_EQ(run.post(run.id, 1, 1, "one", 1), 0U);
  EXPECT_EQ(run.post(run.id, 1, 0, "zero", 2), 2U);
  v1::ExchangeResponse response;
  ASSERT_TRUE(response.ParseFromString(*run.answers.at(0).response));
  EXPECT_THAT(response.blobs(), ElementsAre("zero", "one"));
  EXPECT_EQ(run.answers.at(1).response, run.answers.at(0).response) << "one copy for all ranks";
  EXPECT_EQ(run.post(run.id, 1, 1, "one", 3), 1U) << "a repetition is answered at once";
  EXPECT_FALSE(run.answers.back().superseded);
  EXPECT_EQ(run.post(run.id, 1, 1, "one", 4, "another incarnation"), 1U);
  EXPECT_TRUE(run.answers.back().superseded);
  EXPECT_EQ(run.post(run.id, 2, 0, "zero", 5), 1U);
  EXPECT_TRUE(run.answers.back().superseded) << "generation 2 does not exist";
}

TEST(Engine, WaitingExchangeIsSupersededByTheNextGeneration) {
  Running run;
  EXPECT_EQ(run.post(run.id, 1, 0, "zero", 1), 0U);
  run.exit(run.b, 0, 11);
  run.exit(run.a, 0, 9);
  ASSERT_EQ(run.answers.size(), 1U);
  EXPECT_TRUE(run.answers[0].superseded);
}

TEST(Engine, LeaseIsRenewedAtAThird) {
  Running run;
  const auto leases = [&] {
    return std::count_if(run.inbox[run.b].begin(), run.inbox[run.b].end(),
                         [](const v1::CoordinatorMessage& message) { return message.has_lease(); });
  };
  run.pass_with_beats(seconds(199));
  EXPECT_EQ(leases(), 0);
  run.pass_with_beats(seconds(2));
  EXPECT_EQ(leases(), 1);
  run.pass_with_beats(seconds(200));
  EXPECT_EQ(leases(), 2);
}

TEST(Engine, LeaseNamesTheLastBeatThatWasTaken) {
  Running run;
  run.pass_with_beats(seconds(199));
  v1::Beat beat;
  beat.set_phase(v1::TRAINER_PHASE_COMPUTE);
  beat.set_number(77);
  run.engine->beat(run.now(), run.b, beat);
  run.pass(seconds(2));
  const auto lease = std::find_if(run.inbox[run.b].begin(), run.inbox[run.b].end(),
                                  [](const v1::CoordinatorMessage& message) { return message.has_lease(); });
  ASSERT_NE(lease, run.inbox[run.b].end());
  EXPECT_EQ(lease->beat(), 77);
}

TEST(Engine, ProgressIsStoredAtMostOnceASecond) {
  Running run;
  run.pass(milliseconds(1100));
  const int before = run.store.saves;
  for (int i = 11; i <= 30; ++i) {
    run.step(run.a, i);
    run.steady += milliseconds(100);
  }
  EXPECT_LE(run.store.saves - before, 3);
  EXPECT_GE(run.store.saves - before, 1);
}

TEST(Engine, ManyStepsAreNotLeftUnstored) {
  Running run;
  run.pass(milliseconds(1100));
  const int before = run.store.saves;
  run.steps(run.a, 11, 11 + run.options.unsaved_steps);
  EXPECT_EQ(run.store.saves - before, 1) << "although no second has passed";
}

TEST(Engine, CancelInEachState) {
  World world;
  const std::string validating = world.submit(World::spec("v"));
  world.cancel(validating);
  EXPECT_EQ(world.state(validating), v1::JOB_STATE_CANCELLED);
  world.validate(validating);
  EXPECT_EQ(world.state(validating), v1::JOB_STATE_CANCELLED) << "the manifest came too late";

  const std::string queued = world.queued(World::spec("q"));
  world.cancel(queued);
  EXPECT_EQ(world.state(queued), v1::JOB_STATE_CANCELLED);

  const std::string a = world.agent("i0");
  const std::string starting = world.queued(World::spec("s", 1, 1));
  ASSERT_EQ(world.state(starting), v1::JOB_STATE_STARTING);
  world.cancel(starting, 0);
  EXPECT_EQ(world.state(starting), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ(world.stops(a, true), 1);
  world.exit(a, 0, 9);
  EXPECT_EQ(world.state(starting), v1::JOB_STATE_CANCELLED);
  try {
    world.cancel(starting);
    FAIL() << "cancelled twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kFailedPrecondition);
    EXPECT_THAT(error.what(), HasSubstr("CANCELLED"));
    EXPECT_THAT(error.what(), HasSubstr("CANCELLING"));
  }
}

TEST(Engine, CancelAsksForACheckpointThenKills) {
  Running run;
  run.cancel(run.id, 60);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_CANCELLING);
  ASSERT_EQ(run.stops(run.a, false), 1);
  EXPECT_TRUE(run.inbox[run.a].back().stop().order().checkpoint());
  EXPECT_EQ(run.stops(run.b, false), 1);
  run.pass_with_beats(seconds(59));
  EXPECT_EQ(run.stops(run.a, true), 0);
  run.pass_with_beats(seconds(2));
  EXPECT_EQ(run.stops(run.a, true), 1);
  EXPECT_EQ(run.stops(run.b, true), 1);
  run.exit(run.a, 0, 9);
  run.exit(run.b, 0, 9);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_CANCELLED);
}

TEST(Engine, CancelWithinGraceKeepsItsCheckpoint) {
  Running run;
  run.cancel(run.id, 60);
  run.step(run.a, 11);
  run.checkpoint(run.a, 11);
  for (const auto& worker : {run.a, run.b}) {
    run.finish(worker, v1::OUTCOME_STOPPED);
    run.exit(worker, 0);
  }
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(run.job(run.id).checkpoint_step(), 11);
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("checkpoint at step 11"));
}

TEST(Engine, SecondCancelShortensTheGrace) {
  Running run;
  run.cancel(run.id, 60);
  run.cancel(run.id, 0);
  EXPECT_EQ(run.stops(run.a, true), 1);
}

TEST(Engine, FreedWorkersTakeTheNextJob) {
  Running run;
  const std::string next = run.queued(World::spec("next"));
  EXPECT_EQ(run.state(next), v1::JOB_STATE_QUEUED);
  run.cancel(run.id, 0);
  run.exit(run.a, 0, 9);
  EXPECT_EQ(run.state(next), v1::JOB_STATE_STARTING);
  EXPECT_EQ(run.assignment(run.a).id().job_id(), next);
}

TEST(Engine, WhoComesAfterTheDismissalIsDismissed) {
  World world;
  const std::string early = world.agent("early");
  world.engine->dismiss_workers("the run has ended");
  world.flush();
  const std::string late = world.agent("late");
  for (const std::string& worker : {early, late}) {
    ASSERT_EQ(world.inbox[worker].size(), 2U) << worker;
    EXPECT_TRUE(world.inbox[worker].front().has_welcome());
    EXPECT_EQ(world.inbox[worker].back().shutdown().reason(), "the run has ended");
  }
}

TEST(Engine, NamesAreIdsWhenUnique) {
  World world;
  const std::string id = world.queued(World::spec("run"));
  EXPECT_EQ(world.engine->job("run").id(), id);
  world.cancel(id);
  world.submit(World::spec("run"));
  EXPECT_THROW(world.engine->job("run"), Error);
  EXPECT_THROW(world.engine->job("nobody"), Error);
}

}  // namespace
}  // namespace mdgen::coordinator
