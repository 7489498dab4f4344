// Data sets that workers examine (data.preflight: worker).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"

namespace mdgen::coordinator {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::World;

v1::JobSpec spec(const std::string& name = "run", int max = 2) {
  v1::JobSpec spec = World::spec(name, 1, max);
  spec.mutable_data()->set_preflight("worker");
  return spec;
}

struct PreflightOnAWorker : ::testing::Test {
  // The newest task that an agent got; its attempt is 0 when it got none.
  v1::PreflightTask task(const std::string& worker) {
    for (auto message = world.inbox[worker].rbegin(); message != world.inbox[worker].rend(); ++message)
      if (message->has_examine()) return message->examine();
    return {};
  }
  long stops(const std::string& worker) {
    return std::count_if(world.inbox[worker].begin(), world.inbox[worker].end(),
                         [](const auto& message) { return message.has_stop_examination(); });
  }
  void say(const std::string& worker, const v1::PreflightTask& task, v1::PreflightReport report) {
    report.set_job_id(task.job_id());
    report.set_attempt(task.attempt());
    world.engine->preflight_report(world.now(), worker, report);
    world.flush();
  }
  void progress(const std::string& worker, std::int64_t examined) {
    v1::PreflightReport report;
    report.mutable_progress()->set_examined(examined);
    report.mutable_progress()->set_total(99);
    say(worker, task(worker), report);
  }
  void fail(const std::string& worker, const v1::PreflightTask& task, const std::string& reason) {
    v1::PreflightReport report;
    report.mutable_failure()->set_reason(reason);
    report.mutable_failure()->set_message("why");
    say(worker, task, report);
  }
  // In parts of 7 bytes.
  void found(const std::string& worker, const v1::PreflightTask& task, const std::string& digest) {
    v1::Preflight preflight;
    preflight.mutable_manifest()->set_digest(digest);
    preflight.add_warnings("a warning that makes it longer than one part");
    const std::string bytes = preflight.SerializeAsString();
    for (std::size_t at = 0; at < bytes.size(); at += 7) {
      v1::PreflightReport report;
      report.mutable_part()->set_bytes(bytes.substr(at, 7));
      report.mutable_part()->set_last(at + 7 >= bytes.size());
      say(worker, task, report);
    }
  }

  World world;
};

TEST_F(PreflightOnAWorker, ExaminesAndTheJobIsQueued) {
  const std::string worker = world.agent("i0");
  const std::string id = world.submit(spec());
  EXPECT_TRUE(world.builds.empty()) << "the coordinator may not see the data";
  EXPECT_EQ(task(worker).job_id(), id);
  EXPECT_EQ(task(worker).spec().data().preflight(), "worker");
  EXPECT_EQ(world.job(id).reason(), "Examining");
  EXPECT_THAT(world.job(id).message(), HasSubstr("on node1"));
  progress(worker, 12);
  EXPECT_EQ(world.job(id).message(), "12 of 99 arrays examined by a worker on node1");
  EXPECT_EQ(world.state(id), v1::JOB_STATE_VALIDATING);

  found(worker, task(worker), "d");
  ASSERT_EQ(world.builds.size(), 1U) << "the plan is made by the coordinator";
  ASSERT_TRUE(world.builds[0].found.has_value());
  EXPECT_EQ(world.builds[0].found->manifest().digest(), "d");
  world.pass(1s);
  EXPECT_EQ(world.builds.size(), 1U);
  world.validate(id);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_STARTING) << "its worker is free again";
  EXPECT_EQ(world.assignment(worker).id().job_id(), id);
}

TEST_F(PreflightOnAWorker, WithoutAFreeWorkerItWaitsAndSaysSo) {
  const std::string id = world.submit(spec());
  EXPECT_EQ(world.state(id), v1::JOB_STATE_VALIDATING);
  EXPECT_THAT(world.job(id).message(),
              HasSubstr("the examination of the data set needs 1 free worker; the pool has 0"));
  const std::string worker = world.agent("i0");
  EXPECT_EQ(task(worker).job_id(), id);
  const std::string second = world.submit(spec("second"));
  EXPECT_EQ(world.job(second).reason(), "WaitingForWorkers");
  EXPECT_THAT(world.job(second).message(), HasSubstr("the pool has 1, 0 of them free"));
  found(worker, task(worker), "d");
  EXPECT_EQ(task(worker).job_id(), second);
}

TEST_F(PreflightOnAWorker, AnExaminingWorkerIsNotGivenATrainer) {
  const std::string worker = world.agent("i0");
  const std::string id = world.submit(spec());
  const std::string other = world.queued(World::spec("other"));
  EXPECT_EQ(world.state(other), v1::JOB_STATE_QUEUED);
  fail(worker, task(worker), "InvalidArgument");
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).reason(), "InvalidDataset");
  EXPECT_EQ(world.job(id).message(), "why");
  EXPECT_EQ(world.state(other), v1::JOB_STATE_STARTING);
}

TEST_F(PreflightOnAWorker, AnotherTakesUpWhatALostOneBegan) {
  const std::string first = world.agent("i0");
  const std::string second = world.agent("i1");
  const std::string id = world.submit(spec());
  const v1::PreflightTask lost = task(first);
  EXPECT_EQ(task(second).attempt(), 0);
  world.lose(first);
  EXPECT_EQ(task(second).job_id(), id);
  EXPECT_GT(task(second).attempt(), lost.attempt());
  found(first, lost, "stale");
  found(second, lost, "stale");
  EXPECT_TRUE(world.builds.empty());
  found(second, task(second), "d");
  ASSERT_EQ(world.builds.size(), 1U);
  EXPECT_EQ(world.builds[0].found->manifest().digest(), "d");
}

TEST_F(PreflightOnAWorker, ANewStreamOfTheSameAgentBeginsAgain) {
  const std::string worker = world.agent("i0");
  world.submit(spec());
  const v1::PreflightTask lost = task(worker);
  EXPECT_EQ(world.agent("i0"), worker);
  EXPECT_GT(task(worker).attempt(), lost.attempt());
  found(worker, lost, "stale");
  EXPECT_TRUE(world.builds.empty());
}

TEST_F(PreflightOnAWorker, WhatLosesEveryWorkerIsGivenUp) {
  const std::string id = world.submit(spec());
  for (int i = 0; i < world.options.max_examinations; ++i) {
    EXPECT_EQ(world.state(id), v1::JOB_STATE_VALIDATING);
    world.lose(world.agent("i" + std::to_string(i)));
  }
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).reason(), "WorkerLost");
  EXPECT_THAT(world.job(id).message(), HasSubstr("given up after 5 workers"));
}

TEST_F(PreflightOnAWorker, CancelEndsItAndTheWorkerIsFreeOnceItSaysSo) {
  const std::string worker = world.agent("i0");
  const std::string id = world.submit(spec());
  const v1::PreflightTask begun = task(worker);
  world.cancel(id);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(stops(worker), 1);
  const std::string next = world.submit(spec("next"));
  EXPECT_EQ(task(worker).job_id(), id) << "it may still be waiting for its file system";
  fail(worker, begun, "Aborted");
  EXPECT_EQ(world.state(id), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(task(worker).job_id(), next);
  const std::string waiting = world.submit(spec("waiting"));
  world.cancel(waiting);
  EXPECT_EQ(world.state(waiting), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(stops(worker), 1);
}

TEST_F(PreflightOnAWorker, ARestartedCoordinatorTakesItUpAgain) {
  const std::string id = world.submit(spec());
  world.agent("i0");
  world.restart();
  EXPECT_EQ(world.state(id), v1::JOB_STATE_VALIDATING);
  EXPECT_TRUE(world.builds.empty());
  const std::string worker = world.agent("i0");
  EXPECT_EQ(task(worker).job_id(), id);
  found(worker, task(worker), "d");
  EXPECT_EQ(world.builds.size(), 1U);
  world.restart();
  EXPECT_TRUE(world.builds.empty()) << "what was found was not stored: it is examined once more";
  const std::string again = world.agent("i1");
  EXPECT_EQ(task(again).job_id(), id);
}

TEST_F(PreflightOnAWorker, WhatCannotBeParsedFailsTheJob) {
  const std::string worker = world.agent("i0");
  const std::string id = world.submit(spec());
  v1::PreflightReport report;
  report.mutable_part()->set_bytes("\xff\xff");
  report.mutable_part()->set_last(true);
  say(worker, task(worker), report);
  EXPECT_EQ(world.state(id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(world.job(id).reason(), "Internal");
}

TEST_F(PreflightOnAWorker, ARecoveringJobGoesFirst) {
  const std::string worker = world.agent("i0");
  const std::string running = world.queued(World::spec("running", 1, 1));
  world.started(worker);
  world.exit(worker, 1);
  EXPECT_EQ(world.state(running), v1::JOB_STATE_STARTING);
  const std::string id = world.submit(spec());
  EXPECT_EQ(world.job(id).reason(), "WaitingForWorkers");
}

TEST(PreflightOnTheCoordinator, SaysHowFarItIs) {
  World world;
  const std::string id = world.submit(World::spec("run"));
  EXPECT_TRUE(world.engine->examining(id, 7, 9, ""));
  EXPECT_EQ(world.job(id).message(), "7 of 9 arrays examined");
  world.cancel(id);
  EXPECT_FALSE(world.engine->examining(id, 8, 9, "")) << "nobody waits for it";
}

}  // namespace
}  // namespace mdgen::coordinator
