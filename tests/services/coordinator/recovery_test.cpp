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
  EXPECT_EQ(run.stops(run.a, true), 0);
  EXPECT_EQ(run.abandons(run.a), 1) << "the survivor lives on";
  EXPECT_EQ(run.assignment(run.a).id().generation(), 1) << "its leaving is awaited";
  run.left(run.a, 10);

  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(run.job(run.id).restarts(), 1);
  EXPECT_EQ(run.assignment(run.a).id().generation(), 2);
  EXPECT_EQ(run.assignment(run.a).attempt(), 1) << "the same process and log";
  EXPECT_EQ(run.assignment(run.b).rank(), 1) << "a new process of the same worker";
  EXPECT_EQ(run.assignment(run.b).attempt(), 2);
  EXPECT_TRUE(run.assignment(run.a).require_checkpoint());
  EXPECT_EQ(run.store.load()[0].generation->number, 2) << "stored before it was announced";

  run.started(run.a, 8, "step-8");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(run.job(run.id).step(), 8);
  const auto ledger = run.store.ledger(run.id);
  ASSERT_EQ(ledger.back().kind(), v1::LEDGER_KIND_ROLLBACK);
  EXPECT_EQ(ledger.back().from(), 10);
  EXPECT_EQ(ledger.back().to(), 8);
  EXPECT_EQ(ledger.back().cause(), "TrainerKilled");
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

TEST(Recovery, AStepThatKillsThreeTimesIsPoisonAndNamed) {
  World world;
  world.options.step_samples = [](const v1::JobSpec&, const v1::JobManifest&, std::int64_t step) {
    return "virtual sample 7 (4ake_A) of step " + std::to_string(step);
  };
  world.restart();
  world.steady += world.options.reconnect_grace;
  const std::string a = world.agent("i0");
  const std::string id = world.queued(World::spec("run", 1, 1));
  world.started(a);
  world.steps(a, 1, 10);
  for (const int pause : {0, 1}) {
    world.exit(a, 0, 6);
    world.pass_with_beats(seconds(pause));
    ASSERT_EQ(world.state(id), v1::JOB_STATE_STARTING);
    world.started(a, 8);
    world.steps(a, 9, 10);
  }
  world.exit(a, 0, 6);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).reason(), "PoisonStep");
  EXPECT_THAT(world.job(id).message(), HasSubstr("step 10 has ended a trainer's process 3 times"));
  EXPECT_THAT(world.job(id).message(), HasSubstr("virtual sample 7 (4ake_A) of step 10"));
}

TEST(Recovery, GivesUpAfterFiveRestartsWithoutProgress) {
  Running run(2);
  for (int restart = 1; restart <= 5; ++restart) {
    run.left(run.a, 10, "CollectiveFailed");
    run.left(run.b, 10, "CollectiveFailed");
    run.pass_with_beats(seconds(61));
    ASSERT_EQ(run.state(run.id), v1::JOB_STATE_STARTING) << restart;
    EXPECT_EQ(run.job(run.id).restarts(), restart);
    run.started(run.a, 10);
  }
  run.left(run.a, 10, "CollectiveFailed");
  run.left(run.b, 10, "CollectiveFailed");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING) << "what they hold is written first";
  ASSERT_NE(run.order(run.a), nullptr);
  EXPECT_TRUE(run.order(run.a)->checkpoint());
  run.checkpoint(run.a, 10);
  run.exit(run.a, 0);
  run.exit(run.b, 0);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_FAILED);
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("5 restarts without progress"));
  EXPECT_EQ(run.job(run.id).checkpoint_step(), 10);
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

TEST(Recovery, ATrainersOwnErrorIsNotTriedAgainAndWhatTheOthersHoldIsWritten) {
  Running run;
  run.checkpoint(run.a, 8);
  run.finish(run.a, v1::OUTCOME_FAILED, "DataLoss", "a.npy is truncated");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RUNNING) << "it is not to be restarted";
  EXPECT_EQ(run.stops(run.b, true), 0);
  EXPECT_EQ(run.abandons(run.b), 1);
  run.exit(run.a, 1);
  run.left(run.b, 10);
  ASSERT_NE(run.order(run.b), nullptr);
  EXPECT_TRUE(run.order(run.b)->checkpoint());
  run.checkpoint(run.b, 10);
  run.exit(run.b, 0);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(run.job(run.id).reason(), "DataLoss");
  EXPECT_EQ(run.job(run.id).checkpoint_step(), 10);
  EXPECT_THAT(run.job(run.id).message(), HasSubstr("a.npy is truncated"));
}

TEST(Recovery, WithNothingThatIsNotOnDiskAHopelessJobEndsAtOnce) {
  Running run;
  run.checkpoint(run.a, 10);
  run.finish(run.a, v1::OUTCOME_FAILED, "DataLoss", "a.npy is truncated");
  EXPECT_EQ(run.stops(run.b, true), 1);
  run.exit(run.a, 1);
  run.exit(run.b, 0, 9);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_FAILED);
}

TEST(Recovery, ACollectiveErrorIsActedOnAtOnceAndExplainedLater) {
  Running run;
  run.left(run.a, 10, "CollectiveFailed");
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(run.job(run.id).reason(), "CollectiveFailed");
  EXPECT_EQ(run.abandons(run.b), 1);
  run.exit(run.b, 0, 9);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING);
  ASSERT_EQ(run.job(run.id).recoveries_size(), 1);
  EXPECT_EQ(run.job(run.id).recoveries(0).reason(), "TrainerKilled") << "the peer's end explains it";
  EXPECT_EQ(run.job(run.id).recoveries(0).rank(), 1);
  const auto& transitions = run.job(run.id).transitions();
  EXPECT_EQ(transitions[transitions.size() - 2].reason(), "TrainerKilled");
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
  run.left(run.a, 10);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_STARTING) << "one that has left proves that no step can follow";
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
  world.left(a, 0);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_RECOVERING);
  EXPECT_EQ(world.job(id).reason(), "WorkerLost");
  EXPECT_THAT(world.job(id).message(), HasSubstr("1 of at least 2 workers"));
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

// Both still hold what they had: the one that was cut off comes back before the others went on without it.
TEST(Recovery, AnAgentThatComesBackInTimeIsASurvivor) {
  Running run;
  run.lose(run.b);
  v1::Register again = World::identity("i1");
  *again.add_running() = run.event(run.a).id();
  EXPECT_EQ(run.agent(again), run.b);
  EXPECT_EQ(run.abandons(run.b), 1);
  run.left(run.a, 10);
  EXPECT_EQ(run.state(run.id), v1::JOB_STATE_RECOVERING) << "it has not left yet";
  run.left(run.b, 10);
  EXPECT_EQ(run.assignment(run.b).id().generation(), 2);
  EXPECT_EQ(run.assignment(run.b).attempt(), 1);
}

TEST(Recovery, AnAgentThatComesBackTooLateMustKillItsTrainer) {
  Running run;
  v1::Register again = World::identity("i1");
  *again.add_running() = run.event(run.a).id();
  run.lose(run.b);
  run.left(run.a, 10);
  ASSERT_EQ(run.assignment(run.a).id().generation(), 2);
  EXPECT_EQ(run.assignment(run.a).world_size(), 1);
  const std::string b = run.agent(again);
  EXPECT_EQ(run.stops(b, true), 1);
  const std::string next = run.queued(World::spec("next", 1, 1));
  EXPECT_EQ(run.state(next), v1::JOB_STATE_QUEUED) << "not free before its old trainer has ended";
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
  for (const v1::LedgerRecord& record : run.store.ledger(run.id))
    EXPECT_NE(record.kind(), v1::LEDGER_KIND_ROLLBACK);
  EXPECT_EQ(run.store.ledger(run.id).back().samples(), 40);
}

TEST(Recovery, LostStepsAreCountedInTheJob) {
  Running run;
  run.checkpoint(run.a, 8);
  run.exit(run.b, 0, 9);
  run.exit(run.a, 0, 9);
  run.started(run.a, 8, "step-8");
  EXPECT_EQ(run.job(run.id).lost_steps(), 2);
  run.steps(run.a, 9, 12);
  run.exit(run.b, 0, 9);
  run.exit(run.a, 0, 9);
  run.started(run.a, 9, "step-9");
  EXPECT_EQ(run.job(run.id).lost_steps(), 5);
}

TEST(Recovery, RankZerosAgentIsToldWhatIsStored) {
  Running run(2, 0);
  EXPECT_EQ(run.stored[run.a], 0);
  run.steps(run.a, 1, 3);
  EXPECT_EQ(run.stored[run.a], 0) << "in memory only";
  run.pass(seconds(1));
  EXPECT_EQ(run.stored[run.a], 3);
  EXPECT_FALSE(run.stored.contains(run.b));
}

// The agent of rank 0 died with what it had not passed on, but a checkpoint holds those steps.
TEST(Recovery, StepsThatOnlyACheckpointKnowsAreEntered) {
  Running run;
  ledger::Chain theirs;
  theirs.begin(1, 2, "plan", 0, "");
  for (std::int64_t at = 1; at <= 15; ++at) {
    v1::StepReport report;
    report.set_step(at);
    report.set_samples(4);
    report.set_sample_hash_sum(static_cast<std::uint64_t>(1000 + at));
    theirs.step(report);
  }
  run.exit(run.b, 0, 9);
  run.exit(run.a, 0, 9);
  auto start = run.event(run.a);
  start.mutable_started()->set_first_step(15);
  *start.mutable_started()->mutable_ledger() = {theirs.records().begin(), theirs.records().end()};
  run.say(run.a, start);
  EXPECT_EQ(run.job(run.id).lost_steps(), 0);
  const auto ledger = run.store.ledger(run.id);
  ASSERT_EQ(ledger.back().kind(), v1::LEDGER_KIND_RANGE);
  EXPECT_EQ(ledger.back().first_step(), 11);
  EXPECT_EQ(ledger.back().last_step(), 15);
  EXPECT_EQ(ledger.back().samples(), 20);
  EXPECT_EQ(ledger.back().hash_sum(), 5000U + 11 + 12 + 13 + 14 + 15);
}

TEST(Recovery, BadSamplesAreCountedAndNamedOnceAnEntry) {
  Running run(1);
  for (const std::int64_t at : {11, 12}) {
    auto report = run.event(run.a);
    report.mutable_step()->set_step(at);
    for (const char* entry : {"4ake_A", "1ake_A"}) {
      v1::NamedSample& bad = *report.mutable_step()->add_bad_samples();
      bad.set_virtual_sample(static_cast<std::uint32_t>(at));
      bad.set_entry(entry);
      bad.set_reason("a coordinate is not finite");
    }
    run.say(run.a, report);
  }
  EXPECT_EQ(run.job(run.id).bad_samples(), 4);
  ASSERT_EQ(run.job(run.id).warnings_size(), 2);
  EXPECT_EQ(run.job(run.id).warnings(0),
            "left out: 4ake_A (virtual sample 11, step 11): a coordinate is not finite");
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

// Where it starts was not known yet; a start at step 0 must not be entered for a job that goes on from 50.
TEST(Restart, WhileTheFirstGenerationForms_LeavesTheLedgerEmpty) {
  World world;
  world.agent("i0");
  const std::string id = world.queued(World::spec("run", 1, 1));
  world.restart();
  const std::string again = world.agent("i0");
  world.pass_with_beats(world.options.missing_trainer_wait + seconds(1));
  ASSERT_EQ(world.assignment(again).id().generation(), 2);
  world.started(again, 50, "step-50");
  const auto ledger = world.store.ledger(id);
  ASSERT_EQ(ledger.size(), 1U);
  EXPECT_EQ(ledger[0].kind(), v1::LEDGER_KIND_START);
  EXPECT_EQ(ledger[0].to(), 50);
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
  for (const v1::LedgerRecord& record : run.store.ledger(run.id))
    EXPECT_NE(record.kind(), v1::LEDGER_KIND_ROLLBACK);
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
  EXPECT_EQ(run.abandons(run.a), 1);
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
  ASSERT_EQ(world.abandons(a), 1);
  v1::TrainerEvent left;
  left.mutable_id()->set_job_id(id);
  left.mutable_id()->set_generation(1);
  left.mutable_left()->set_reason("Abandoned");
  world.say(a, left);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING);
  EXPECT_EQ(world.assignment(a).id().generation(), 2);
  EXPECT_EQ(world.assignment(a).attempt(), 1) << "its process is kept";
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
