// The engine when trainers, agents or the coordinator itself go away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/fake_world.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::World;

struct Running : World {
  explicit Running(int workers = 2, std::int64_t last = 10) {
    steady += options.reconnect_grace;
    engine->tick(now());
    a = agent("i0");
    if (workers == 2) b = agent("i1");
    id = queued(spec("run", 1, workers));
    started(a);
    steps(a, 1, last);
  }
  std::string a, b, id;
};

TEST(Recovery, ACrashedTrainerIsFollowedByANewGeneration) {
  Running run;
  run.checkpoint(run.a, 8);
  run.exit(run.b, 0, 11, "rank 1 said this");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(run.job(run.id).reason(), "TrainerKilled");
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("rank 1 said this"));
  EXPECT_EQ(run.stops(run.a, true), 1) << "the survivor is killed";
  EXPECT_EQ(run.assignment(run.a).id().generation(), 1) << "its end is awaited";
  run.exit(run.a, 0, 9);

  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(run.job(run.id).restarts(), 1);
  EXPECT_EQ(run.assignment(run.a).id().generation(), 2);
  EXPECT_EQ(run.assignment(run.a).attempt(), 2);
  EXPECT_TRUE(run.assignment(run.a).require_checkpoint());
  EXPECT_EQ(run.store.load()[0].generation->number, 2) << "stored before it was announced";

  run.started(run.a, 8, "step-8");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(run.job(run.id).step(), 8);
  const auto ledger = run.store.ledger(run.id);
  ASSERT_EQ(ledger.back().kind, LedgerRecord::Kind::kRollback);
  EXPECT_EQ(ledger.back().from, 10);
  EXPECT_EQ(ledger.back().to, 8);
  EXPECT_EQ(ledger.back().cause, "TrainerKilled");
}

TEST(Recovery, BeforeAnyCheckpointItStartsOverAndDoesNotRequireOne) {
  Running run;
  run.exit(run.b, 3);
  run.exit(run.a, 0, 9);
  EXPECT_FALSE(run.assignment(run.a).require_checkpoint());
  run.started(run.a, 0);
  EXPECT_EQ(run.job(run.id).step(), 0);
  EXPECT_DOUBLE_EQ(run.job(run.id).first_loss(), 1.0);
}

TEST(Recovery, GivesUpAfterThreeRestartsWithTheSameCauseAndNoProgress) {
  Running run(1);
  for (int restart = 1; restart <= 3; ++restart) {
    run.exit(run.a, 0, 6);
    ASSERT_EQ(run.state(run.id), v1::JOB_STATE_STARTING) << restart;
    EXPECT_EQ(run.job(run.id).restarts(), restart);
    run.started(run.a, 0);
    run.steps(run.a, 1, 10);
  }
  run.exit(run.a, 0, 6);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("3 restarts without progress"));
  EXPECT_EQ(run.job(run.id).reason(), "TrainerKilled");
}

TEST(Recovery, ProgressStartsTheCountAgain) {
  Running run(1);
  for (int crash = 0; crash < 8; ++crash) {
    run.exit(run.a, 0, 6);
    ASSERT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
    run.started(run.a, 10 + crash);
    run.step(run.a, 11 + crash);
  }
  EXPECT_EQ(run.job(run.id).restarts(), 8);
}

TEST(Recovery, ATrainersOwnErrorIsNotTriedAgain) {
  Running run;
  run.finish(run.a, v1::OUTCOME_FAILED, "DataLoss", "a.npy is truncated");
  EXPECT_EQ(run.stops(run.b, true), 1);
  run.exit(run.a, 1);
  run.exit(run.b, 0, 9);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(run.job(run.id).reason(), "DataLoss");
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("a.npy is truncated"));
}

TEST(Recovery, ACollectiveErrorWaitsForItsCause) {
  Running run;
  run.finish(run.a, v1::OUTCOME_FAILED, "Unavailable", "all_reduce: peer closed");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(run.stops(run.b, true), 0);
  run.exit(run.b, 0, 9);
  EXPECT_EQ(run.job(run.id).reason(), "TrainerKilled") << "the peer's end explains it";
  run.exit(run.a, 1);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
}

TEST(Recovery, ACollectiveErrorAloneIsActedOnAfterAMoment) {
  Running run;
  run.finish(run.a, v1::OUTCOME_FAILED, "Unavailable", "all_reduce: timed out");
  run.pass_with_beats(seconds(2));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(run.stops(run.b, true), 1);
}

TEST(Recovery, ASilentAgentIsLostAfterFiveSeconds) {
  Running run;
  v1::Beat beat;
  for (int second = 0; second < 5; ++second) {
    EXPECT_EQ(run.engine->workers().size(), 2U);
    run.engine->beat(run.now(), run.a, beat);
    run.pass(seconds(1));
  }
  EXPECT_EQ(run.dropped, std::vector{run.b});
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(run.job(run.id).reason(), "WorkerLost");
  run.exit(run.a, 0, 9);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING) << "one confirmed end proves that no step can follow";
  EXPECT_EQ(run.assignment(run.a).world_size(), 1) << "it shrinks to what is there";
}

TEST(Recovery, APauseOfTheCoordinatorIsNobodysSilence) {
  Running run;
  run.pass(seconds(3600));
  EXPECT_EQ(run.engine->workers().size(), 2U);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  for (int second = 0; second < 5; ++second) run.pass(seconds(1));
  EXPECT_TRUE(run.engine->workers().empty()) << "silence since then counts";
}

TEST(Recovery, BelowMinItWaitsForAWorker) {
  World world;
  world.steady += world.options.reconnect_grace;
  const std::string a = world.agent("i0");
  const std::string b = world.agent("i1");
  const std::string id = world.queued(World::spec("run", 2, 2));
  world.started(a);
  world.lose(b);
  world.exit(a, 0, 9);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(world.job(id).reason(), "WorkerLost");
  const std::string c = world.agent("i2");
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(world.assignment(c).rank(), 1);
}

TEST(Recovery, WithoutAConfirmedEndTheLeaseIsAwaited) {
  Running run(1);
  run.lose(run.a);
  const std::string other = run.agent("i9");
  run.pass_with_beats(seconds(600));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(run.job(run.id).reason(), "WorkerLost");
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("until the lease has ended"));
  EXPECT_EQ(run.assignment(other).world_size(), 0);
  run.pass_with_beats(seconds(61));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING) << "ten minutes and a tenth";
}

TEST(Recovery, AnAgentThatComesBackWithoutItsTrainerConfirmsTheEnd) {
  Running run(1);
  run.lose(run.a);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  run.a = run.agent("i0");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
}

TEST(Recovery, AnAgentThatComesBackWithALostTrainerMustKillIt) {
  Running run;
  run.lose(run.b);
  v1::Register again = World::identity("i1");
  again.add_running()->set_job_id(run.id);
  again.mutable_running(0)->set_generation(1);
  const std::string b = run.agent(again);
  EXPECT_EQ(run.stops(b, true), 1);
  run.exit(run.a, 0, 9);
  ASSERT_EQ(run.assignment(run.a).id().generation(), 2);
  EXPECT_EQ(run.assignment(run.a).world_size(), 1)
      << "the other is not free before its old trainer has ended";
  const std::string next = run.queued(World::spec("next", 1, 1));
  EXPECT_EQ(run.state(next), v1::JOB_STATE_QUEUED);
  v1::TrainerEvent ended;
  *ended.mutable_id() = again.running(0);
  ended.set_rank(1);
  ended.mutable_exited()->set_signal(9);
  run.say(b, ended);
  EXPECT_EQ(run.assignment(b).id().job_id(), next);
}

TEST(Recovery, GoodbyeConfirmsTheEnd) {
  Running run(1);
  run.engine->leave(run.now(), run.a, "terminated");
  run.flush();
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  run.agent("i1");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
}

TEST(Recovery, KilledTrainersAreAwaitedForFiveSeconds) {
  World world;
  world.steady += world.options.reconnect_grace;
  for (const char* incarnation : {"i0", "i1", "i2"}) world.agent(incarnation);
  const std::string id = world.queued(World::spec("run", 1, 3));
  const auto workers = world.engine->workers();
  const std::string a = workers[0]->id;
  const std::string b = workers[1]->id;
  world.started(a);
  world.exit(b, 1);
  world.exit(a, 0, 9);
  world.pass_with_beats(seconds(4));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RECOVERING) << "rank 2 has not confirmed";
  world.pass_with_beats(seconds(1));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(world.job(id).workers(), 2) << "the one that is not free is left out";
}

TEST(Recovery, ASilentTrainerIsHung) {
  Running run(1);
  for (int i = 0; i < 601; ++i) {
    run.engine->beat(run.now(), run.a, v1::Beat());  // the agent beats, its trainer does not
    run.pass(seconds(1));
  }
  EXPECT_EQ(run.stops(run.a, true), 1);
  run.exit(run.a, 0, 9);
  EXPECT_EQ(run.job(run.id).restarts(), 1);
}

TEST(Recovery, StaleReportsAreIgnored) {
  Running run;
  const v1::TrainerEvent old_event = run.event(run.a);
  run.exit(run.b, 1);
  run.exit(run.a, 0, 9);
  v1::TrainerEvent late = old_event;
  late.mutable_step()->set_step(99);
  run.say(run.a, late);
  EXPECT_EQ(run.job(run.id).step(), 10);
  late.mutable_checkpoint()->set_step(99);
  run.say(run.a, late);
  EXPECT_EQ(run.job(run.id).checkpoint_step(), 0);
}

TEST(Recovery, RepeatedReportsChangeNothing) {
  Running run;
  const auto before = run.store.ledger(run.id);
  run.started(run.a);
  run.steps(run.a, 1, 10);
  run.pass(seconds(2));
  EXPECT_EQ(run.job(run.id).step(), 10);
  for (const LedgerRecord& record : run.store.ledger(run.id))
    EXPECT_NE(record.kind, LedgerRecord::Kind::kRollback);
  EXPECT_EQ(run.store.ledger(run.id).back().samples, 40);
}

TEST(Restart, EndedJobsAreStillListed) {
  Running run(1);
  run.cancel(run.id, 0);
  run.exit(run.a, 0, 9);
  run.restart();
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_CANCELLED);
}

TEST(Restart, AJobInValidationIsExaminedAgain) {
  World world;
  const std::string id = world.submit(World::spec("run"));
  world.restart();
  ASSERT_EQ(world.builds.size(), 1U);
  world.validate(id);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_QUEUED);
}

v1::Register running_agent(const std::string& incarnation, const std::string& job, std::int64_t generation) {
  v1::Register identity = World::identity(incarnation);
  identity.add_running()->set_job_id(job);
  identity.mutable_running(0)->set_generation(generation);
  return identity;
}

TEST(Restart, RunningTrainersAreAdopted) {
  Running run;
  run.pass(seconds(1));
  run.restart();
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(run.agent(running_agent("i0", run.id, 1)), run.a) << "the same worker, the same id";
  run.pass(seconds(3));
  EXPECT_EQ(run.agent(running_agent("i1", run.id, 1)), run.b);
  EXPECT_TRUE(run.inbox[run.a].back().has_lease());
  run.pass_with_beats(seconds(20));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  v1::TrainerEvent event;
  event.mutable_id()->set_job_id(run.id);
  event.mutable_id()->set_generation(1);
  event.mutable_step()->set_step(11);
  event.mutable_step()->set_samples(4);
  run.say(run.a, event);
  EXPECT_EQ(run.job(run.id).step(), 11);
  EXPECT_EQ(run.job(run.id).restarts(), 0);
  run.pass(seconds(1));
  for (const LedgerRecord& record : run.store.ledger(run.id))
    EXPECT_NE(record.kind, LedgerRecord::Kind::kRollback);
}

TEST(Restart, WhoDoesNotComeBackInTimeIsLost) {
  Running run;
  run.restart();
  run.agent(running_agent("i0", run.id, 1));
  run.pass_with_beats(seconds(9));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  run.pass_with_beats(seconds(2));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(run.job(run.id).reason(), "WorkerLost");
  EXPECT_EQ(run.stops(run.a, true), 1);
}

TEST(Restart, ATrainerThatEndedMeanwhileIsWaitedForThenLost) {
  Running run(1);
  run.restart();
  run.agent("i0");
  run.pass_with_beats(seconds(2));
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING) << "its last words may still come";
  run.pass_with_beats(seconds(2));
  EXPECT_EQ(run.job(run.id).restarts(), 1);
}

TEST(Restart, AGenerationThatWasFormingIsDropped) {
  World world;
  const std::string a = world.agent("i0");
  const std::string id = world.queued(World::spec("run", 1, 1));
  ASSERT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  world.restart();
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RECOVERING);
  world.agent(running_agent("i0", id, 1));
  ASSERT_EQ(world.stops(a, true), 1);
  v1::TrainerEvent gone;
  gone.mutable_id()->set_job_id(id);
  gone.mutable_id()->set_generation(1);
  gone.mutable_exited()->set_signal(9);
  world.say(a, gone);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(world.assignment(a).id().generation(), 2);
}

TEST(Restart, ACancelGoesOn) {
  Running run(1);
  run.cancel(run.id, 60);
  run.restart();
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_CANCELLING);
  run.agent(running_agent("i0", run.id, 1));
  EXPECT_EQ(run.stops(run.a, false), 1) << "the order is repeated";
  run.pass_with_beats(seconds(61));
  EXPECT_EQ(run.stops(run.a, true), 1);
}

}  // namespace
}  // namespace mdgen::coordinator
