// Jobs that wait for each other, have a deadline, are changed, tried again, deleted and forgotten; what is
// noted of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/coordinator/job_events.h"
#include "services/coordinator/timestamps.h"
#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::Gang;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using testing::World;

template <typename Body>
std::string refused(ErrorCode code, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "it was not refused";
  return "";
}

v1::JobSpec after(const std::string& name, const std::string& jobs) {
  v1::JobSpec spec = World::spec(name, 1, 1);
  spec.set_after(jobs);
  return spec;
}

void complete(World& world, const std::string& worker) {
  world.started(worker);
  world.steps(worker, 1, 100);
  world.checkpoint(worker, 100);
  world.finish(worker, v1::OUTCOME_COMPLETED);
  world.exit(worker, 0);
}

std::vector<v1::JobEvent> events(World& world, const std::string& id) {
  world.engine->save(world.store, world.now(), true);
  return world.store.events(id, 0, 10000);
}

std::vector<std::string> kinds(const std::vector<v1::JobEvent>& events) {
  std::vector<std::string> kinds;
  for (const v1::JobEvent& event : events) kinds.push_back(event.kind() + " " + event.reason());
  return kinds;
}

// --- after ---

TEST(After, StartsWhenAllHaveSucceeded) {
  World world;
  const std::string worker = world.agent("i0");
  const std::string first = world.queued(World::spec("first", 1, 1));
  const std::string next = world.queued(after("next", "first"));
  EXPECT_EQ(world.state(next), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(world.job(next).reason(), "WaitingForJob");
  EXPECT_EQ(world.job(next).queue().reason(), "WaitingForJob");
  EXPECT_EQ(world.job(next).queue().position(), 0);
  EXPECT_EQ(world.job(next).message(), "waits for first (" + first + "), which is STARTING");
  const std::string free = world.agent("i1");
  EXPECT_EQ(world.state(next), v1::JOB_STATE_QUEUED) << "a free worker is not what it waits for";
  EXPECT_EQ(world.engine->queue().entries(0).job_id(), next);
  complete(world, worker);
  EXPECT_EQ(world.state(first), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(world.state(next), v1::JOB_STATE_STARTING);
}

TEST(After, HoldsNobodyBack) {
  World world;
  const std::string first = world.queued(World::spec("first", 3, 3));
  world.queued(after("next", first));
  world.agent("i0");
  EXPECT_EQ(world.state(world.queued(World::spec("small", 1, 1))), v1::JOB_STATE_STARTING);
}

TEST(After, FailsWhenOneFailsOrIsCancelled) {
  World world;
  const std::string a = world.queued(World::spec("a", 1, 1));
  const std::string b = world.queued(World::spec("b", 1, 1));
  const std::string next = world.queued(after("next", a + ", b"));
  const std::string validating = world.submit(after("validating", "b"));
  const std::string chained = world.queued(after("chained", "next"));
  world.cancel(b);
  EXPECT_EQ(world.state(next), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(next).reason(), "DependencyFailed");
  EXPECT_EQ(world.job(next).message(), "b (" + b + "), for which it waited, is CANCELLED");
  EXPECT_EQ(world.state(chained), v1::JOB_STATE_FAILED) << "and so on";
  world.validate(validating);
  EXPECT_EQ(world.state(validating), v1::JOB_STATE_FAILED);
}

TEST(After, OutlivesTheCoordinator) {
  World world;
  const std::string first = world.queued(World::spec("first", 1, 1));
  const std::string next = world.queued(after("next", "first"));
  world.restart();
  EXPECT_EQ(world.job(next).reason(), "WaitingForJob");
  const std::string worker = world.agent("i0");
  complete(world, worker);
  EXPECT_EQ(world.state(next), v1::JOB_STATE_STARTING);
  world.restart();
  EXPECT_THAT(world.engine->job(next).after, IsEmpty());
}

TEST(After, UnknownOrHopelessJobsAreRefusedAtSubmit) {
  World world;
  const auto submit = [&](const std::string& jobs) { world.submit(after("next", jobs)); };
  EXPECT_THAT(refused(ErrorCode::kInvalidArgument, [&] { submit("nobody"); }),
              HasSubstr("after: there is no job nobody"));
  const std::string a = world.queued(World::spec("a", 1, 1));
  world.cancel(a);
  EXPECT_THAT(refused(ErrorCode::kFailedPrecondition, [&] { submit(a); }), HasSubstr("is CANCELLED"));
  EXPECT_EQ(world.engine->jobs().size(), 1U);
}

TEST(After, OfAJobThatIsGoneFails) {
  World world;
  const std::string first = world.queued(World::spec("first", 1, 1));
  const std::string next = world.queued(after("next", "first"));
  world.store.forget({first});  // by hand, while the coordinator was away
  world.restart();
  EXPECT_EQ(world.state(next), v1::JOB_STATE_FAILED);
  EXPECT_THAT(world.job(next).message(),
              HasSubstr(first + ", for which it waited, is not known here any more"));
}

// --- deadline ---

struct Deadline : Gang {
  static v1::JobSpec timed(v1::JobSpec spec, double deadline) {
    spec.set_deadline_seconds(deadline);
    return spec;
  }
};

TEST(DeadlineTest, CountsFromTheSubmission) {
  World world;
  const std::string id = world.queued(Deadline::timed(World::spec("run"), 90));
  EXPECT_EQ(world.job(id).deadline().seconds(), world.job(id).created_at().seconds() + 90);
  EXPECT_FALSE(world.job(world.queued(World::spec("free"))).has_deadline());
  world.pass(seconds(89));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_QUEUED);
  world.restart();
  world.pass(seconds(1));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED) << "a queued one fails at once";
  EXPECT_EQ(world.job(id).reason(), "DeadlineExceeded");
  EXPECT_THAT(world.job(id).message(), HasSubstr("90 s after its submission"));
}

TEST(DeadlineTest, ARunningJobWritesACheckpointAndFails) {
  World world;
  const std::string worker = world.agent("i0");
  const std::string id = world.queued(Deadline::timed(World::spec("run", 1, 1), 90));
  world.started(worker);
  world.steps(worker, 1, 10);
  world.pass_with_beats(seconds(90));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_CANCELLING);
  EXPECT_EQ(world.job(id).reason(), "DeadlineExceeded");
  ASSERT_NE(world.order(worker), nullptr);
  EXPECT_TRUE(world.order(worker)->checkpoint());
  world.restart();
  v1::Register again = World::identity("i0");
  again.add_running()->set_job_id(id);
  again.mutable_running(0)->set_generation(1);
  world.agent(again);
  ASSERT_NE(world.order(worker), nullptr) << "a new coordinator goes on with it";
  auto report = v1::TrainerEvent();
  *report.mutable_id() = again.running(0);
  report.mutable_checkpoint()->set_step(12);
  report.mutable_checkpoint()->set_folder("step-12");
  report.mutable_checkpoint()->set_verified(true);
  world.say(worker, report);
  report.mutable_finished()->set_outcome(v1::OUTCOME_STOPPED);
  world.say(worker, report);
  report.mutable_exited()->set_exit_code(0);
  world.say(worker, report);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).reason(), "DeadlineExceeded");
  EXPECT_EQ(world.job(id).checkpoint_step(), 12);
}

TEST(DeadlineTest, WhoDoesNotLeaveWithinTheGraceIsKilled) {
  World world;
  const std::string worker = world.agent("i0");
  const std::string id = world.queued(Deadline::timed(World::spec("run", 1, 1), 90));
  world.started(worker);
  world.steps(worker, 1, 10);
  world.pass_with_beats(seconds(149));
  EXPECT_EQ(world.stops(worker, true), 0);
  world.pass_with_beats(seconds(2));
  EXPECT_EQ(world.stops(worker, true), 1);
  world.exit(worker, 0, 9);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).reason(), "DeadlineExceeded");
}

TEST(DeadlineTest, OfAPausedJobPassesToo) {
  World world;
  const std::string id = world.queued(Deadline::timed(World::spec("run"), 90));
  world.engine->pause(world.now(), id, seconds(1));
  world.pass(seconds(90));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
}

TEST(DeadlineTest, MayBeMovedAndTakenAway) {
  World world;
  const std::string id = world.queued(Deadline::timed(World::spec("run"), 90));
  v1::UpdateJobRequest update;
  update.set_id(id);
  world.pass(seconds(60));
  update.set_deadline_seconds(30);
  EXPECT_THAT(refused(ErrorCode::kInvalidArgument, [&] { world.engine->update(world.now(), update); }),
              HasSubstr("deadline_seconds"));
  update.set_deadline_seconds(120);
  world.engine->update(world.now(), update);
  world.pass(seconds(59));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_QUEUED);
  update.set_deadline_seconds(0);
  world.engine->update(world.now(), update);
  world.pass(seconds(1000));
  EXPECT_EQ(world.state(id), v1::JOB_STATE_QUEUED);
  EXPECT_FALSE(world.job(id).has_deadline());
}

// --- labels ---

TEST(JobLabels, ComeFromTheSpecAndMayBeChanged) {
  World world;
  v1::JobSpec spec = World::spec("run");
  spec.set_labels("team=md,pilot");
  const std::string id = world.queued(spec);
  EXPECT_THAT(world.job(id).labels(), UnorderedElementsAre(Pair("team", "md"), Pair("pilot", "")));
  v1::UpdateJobRequest update;
  update.set_id("run");
  update.set_labels("team=ml");
  world.engine->update(world.now(), update, "kim");
  EXPECT_THAT(world.job(id).labels(), UnorderedElementsAre(Pair("team", "ml")));
  EXPECT_EQ(world.job(id).spec().labels(), "team=ml");
  world.cancel(id);
  refused(ErrorCode::kFailedPrecondition, [&] { world.engine->update(world.now(), update); });
}

// --- retry ---

struct Retry : ::testing::Test {
  FolderFacts facts() const {
    FolderFacts facts = World::fresh_folder(world.job(first).spec());
    facts.used = true;
    facts.last_attempt = 1;
    facts.last_generation = 1;
    facts.has_checkpoints = with_checkpoints;
    return facts;
  }
  std::string retry(const std::string& id, const std::string& request = "") {
    const v1::JobSpec spec = world.engine->retry_spec(id, with_checkpoints);
    const std::string next = world.engine->retry(world.now(), id, spec, request, facts(), "kim").id();
    world.flush();
    return next;
  }

  World world;
  bool with_checkpoints = true;
  std::string first = [this] {
    v1::JobSpec spec = World::spec("run");
    spec.set_resume("fresh");
    spec.set_deadline_seconds(900);
    return world.engine->submit(world.now(), spec, "", World::fresh_folder(spec), "ann").id();
  }();
};

TEST_F(Retry, IsANewJobInTheSameFolder) {
  world.cancel(first);
  world.pass(seconds(100));
  const std::string second = retry(first, "r2");
  EXPECT_NE(second, first);
  const v1::Job& job = world.job(second);
  EXPECT_EQ(job.state(), v1::JOB_STATE_VALIDATING);
  EXPECT_EQ(job.attempt(), 2);
  EXPECT_EQ(job.retry_of(), first);
  EXPECT_EQ(job.owner(), "ann");
  EXPECT_EQ(job.run_folder(), world.job(first).run_folder());
  EXPECT_EQ(job.spec().resume(), "require");
  EXPECT_EQ(job.deadline().seconds(), job.created_at().seconds() + 900) << "its own";
  EXPECT_EQ(world.engine->job(second).earlier_attempts, 1);
  EXPECT_EQ(world.engine->retry(world.now(), first, job.spec(), "r2", facts()).id(), second)
      << "idempotent by request_id";
  EXPECT_EQ(world.engine->job("run").id(), second) << "the name means the newest attempt";
  EXPECT_THAT(kinds(events(world, first)), Contains("Change Retried"));
}

TEST_F(Retry, WithoutACheckpointBeginsAgain) {
  with_checkpoints = false;
  world.cancel(first);
  EXPECT_EQ(world.job(retry(first)).spec().resume(), "auto");
}

TEST_F(Retry, OnlyOfTheNewestAndOnlyWhenItHasFailed) {
  EXPECT_THAT(refused(ErrorCode::kFailedPrecondition, [&] { retry(first); }),
              HasSubstr("is VALIDATING: it cannot be retried"));
  world.cancel(first);
  const std::string second = retry(first);
  EXPECT_THAT(refused(ErrorCode::kFailedPrecondition, [&] { retry(first); }),
              HasSubstr("was retried already, as job " + second));
  world.cancel(second);
  EXPECT_EQ(world.job(retry(second)).attempt(), 3);
}

TEST_F(Retry, WaitsForWhatBecameOfTheJobsThatItWaitedFor) {
  const std::string next = world.queued(after("next", first));
  world.cancel(first);
  EXPECT_EQ(world.state(next), v1::JOB_STATE_FAILED);
  EXPECT_THAT(refused(ErrorCode::kFailedPrecondition,
                      [&] {
                        world.engine->retry(world.now(), next, world.engine->retry_spec(next, false), "",
                                            World::fresh_folder(world.job(next).spec()));
                      }),
              HasSubstr("after: job " + first));
  const std::string second = retry(first);
  const std::string again = world.engine
                                ->retry(world.now(), next, world.engine->retry_spec(next, false), "",
                                        World::fresh_folder(world.job(next).spec()))
                                .id();
  ASSERT_EQ(world.engine->job(again).after.size(), 1U);
  EXPECT_EQ(world.engine->job(again).after[0].id, second);
}

// --- deletion ---

TEST(Remove, ForgetsAnEndedJob) {
  World world;
  const std::string id = world.submit(World::spec("run"), "request");
  EXPECT_THAT(refused(ErrorCode::kFailedPrecondition, [&] { world.engine->remove(id); }),
              HasSubstr("is VALIDATING: it cannot be deleted"));
  world.cancel(id);
  world.engine->remove("run");
  refused(ErrorCode::kNotFound, [&] { world.engine->job(id); });
  EXPECT_EQ(world.engine->find_request("request"), nullptr);
  EXPECT_TRUE(world.store.knows(id)) << "not before it is stored";
  world.flush();
  EXPECT_FALSE(world.store.knows(id));
  EXPECT_FALSE(world.engine->examining(id, 1, 2, ""));
  world.engine->validated(world.now(), id, {});
  world.engine->validation_failed(world.now(), id, "InvalidDataset", "late");
  world.restart();
  EXPECT_TRUE(world.engine->jobs().empty());
}

TEST(Remove, NotWhileAnotherWaitsForIt) {
  World world;
  const std::string id = world.queued(World::spec("first", 1, 1));
  const std::string next = world.queued(after("next", id));
  world.engine->pause(world.now(), next, seconds(0));  // so that it does not fail at once
  world.cancel(id);
  EXPECT_THAT(refused(ErrorCode::kFailedPrecondition, [&] { world.engine->remove(id); }),
              HasSubstr("while job " + next + " (next), which is PAUSED, waits for it"));
  world.cancel(next);
  EXPECT_NO_THROW(world.engine->remove(id));
}

TEST(Remove, OfAnExaminedJobLeavesItsWorkerAlone) {
  World world;
  const std::string worker = world.agent("i0");
  v1::JobSpec spec = World::spec("run");
  spec.mutable_data()->set_preflight("worker");
  const std::string id = world.submit(spec);
  world.cancel(id);
  world.engine->remove(id);
  v1::PreflightReport report;
  report.set_job_id(id);
  report.set_attempt(1);
  report.mutable_failure()->set_reason("Aborted");
  EXPECT_NO_THROW(world.engine->preflight_report(world.now(), worker, report));
  EXPECT_EQ(world.engine->queue().free_workers(), 1);
  EXPECT_NO_THROW(world.lose(worker));
}

TEST(Retention, ForgetsTheOldestFirst) {
  const auto day = [](int number) { return Clock::Wall(hours(24 * number)); };
  const std::vector<EndedJob> ended = {{"c", day(3), false}, {"a", day(1), false}, {"b", day(2), true}};
  const auto ids = [&](const Retention& retention, int today) {
    std::vector<std::string> ids;
    for (const Forgotten& one : to_forget(ended, retention, day(today))) ids.push_back(one.id);
    return ids;
  };
  EXPECT_THAT(ids({3, hours(0)}, 100), IsEmpty());
  EXPECT_THAT(ids({2, hours(0)}, 100), ElementsAre("a"));
  EXPECT_THAT(ids({0, hours(0)}, 100), ElementsAre("a", "c")) << "b is awaited";
  EXPECT_THAT(ids({3, hours(48)}, 4), ElementsAre("a"));
  EXPECT_THAT(ids({3, hours(24)}, 4), ElementsAre("a", "c"));
  EXPECT_EQ(to_forget(ended, {3, hours(48)}, day(4)).at(0).why, "it ended more than 2 days ago");
}

TEST(Retention, KeepsSoManyEndedJobs) {
  World world;
  world.options.retention.keep_jobs = 2;
  world.restart();
  std::vector<std::string> ids;
  for (const char* name : {"a", "b", "c", "d"}) ids.push_back(world.queued(World::spec(name)));
  for (int i : {1, 0, 2}) {
    world.cancel(ids[static_cast<std::size_t>(i)]);
    world.pass(seconds(1));
  }
  EXPECT_FALSE(world.store.knows(ids[1])) << "the first that ended";
  EXPECT_TRUE(world.store.knows(ids[0]));
  EXPECT_EQ(world.engine->jobs().size(), 3U);
}

// --- events ---

TEST(Events, TellTheStoryOfAJob) {
  Gang gang(2);
  gang.checkpoint(gang[0], 10);
  gang.checkpoint(gang[0], 11, false);
  gang.exit(gang[1], 0, 9);
  gang.left(gang[0], 10);
  gang.started(gang[0], 10);
  gang.step(gang[0], 11);
  gang.engine->pause(gang.now(), gang.id, seconds(30), "kim");
  const auto story = events(gang, gang.id);
  EXPECT_THAT(kinds(story),
              ElementsAre("Change Submitted", "State Submitted", "State Validated", "State WorkersAssigned",
                          "State Started", "Checkpoint Written", "Checkpoint CheckpointFailed",
                          "State TrainerKilled", "State WorkersAssigned", "State Started",
                          "Recovery TrainerKilled", "Change PauseRequested", "State PauseRequested"));
  for (std::size_t i = 0; i < story.size(); ++i)
    EXPECT_EQ(story[i].sequence(), static_cast<std::int64_t>(i) + 1);
  EXPECT_EQ(story[4].state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(story[5].message(), "step-10 of step 10");
  EXPECT_THAT(story[10].message(), HasSubstr("goes on from step 10"));
  EXPECT_EQ(story[11].actor(), "kim");
  EXPECT_EQ(story[11].message(), "within 30 s");
}

TEST(Events, NameWarningsOnce) {
  Gang gang(2);
  auto report = gang.event(gang[0]);
  report.mutable_step()->set_step(11);
  v1::NamedSample& bad = *report.mutable_step()->add_bad_samples();
  bad.set_entry("1abc");
  bad.set_reason("truncated");
  gang.say(gang[0], report);
  report.mutable_step()->set_step(12);
  gang.say(gang[0], report);
  gang.engine->drain(gang.now(), gang[1], {});
  const auto told = kinds(events(gang, gang.id));
  EXPECT_EQ(std::count(told.begin(), told.end(), "Warning Warning"), 2) << "the sample once, and the drain";
}

TEST(Events, GoOnAfterARestart) {
  World world;
  const std::string id = world.queued(World::spec("run"));
  const auto before = events(world, id).size();
  world.restart();
  world.cancel(id);
  const auto after = events(world, id);
  ASSERT_GT(after.size(), before);
  EXPECT_EQ(after[before].sequence(), static_cast<std::int64_t>(before) + 1);
}

TEST(Events, AreBoundedWhileTheStoreFails) {
  JobEvents events;
  for (int i = 0; i < 1003; ++i) events.add({});
  EXPECT_EQ(events.pending().size(), 1000U);
  EXPECT_EQ(events.pending().front().sequence(), 4);
  EXPECT_EQ(events.dropped(), 3);
}

}  // namespace
}  // namespace mdgen::coordinator
