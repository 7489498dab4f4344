// cancel, pause, resume, inject, describe.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/files.h"
#include "fake_world.h"
#include "services/client/format.h"
#include "tests/support/temp_dir.h"

namespace mdgen::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Control : ::testing::Test {
  FakeWorld fake;
};

TEST_F(Control, PausePassesTheGrace) {
  std::vector<std::optional<int>> graces;
  fake.api.on_pause = [&](const std::string& id, std::optional<int> grace) {
    EXPECT_EQ(id, "j1");
    graces.push_back(grace);
    return job_in(v1::JOB_STATE_PAUSING);
  };
  EXPECT_EQ(fake.run({"pause", "j1"}), 0);
  EXPECT_EQ(fake.run({"pause", "j1", "--grace", "9"}), 0);
  EXPECT_EQ(fake.out.str(), "j1 PAUSING\nj1 PAUSING\n");
  EXPECT_EQ(graces.at(0), std::nullopt);
  EXPECT_EQ(graces.at(1), 9);
}

TEST_F(Control, ResumePassesTheWorkers) {
  std::vector<std::optional<v1::WorkerRange>> ranges;
  fake.api.on_resume = [&](const std::string&, const std::optional<v1::WorkerRange>& workers) {
    ranges.push_back(workers);
    return job_in(v1::JOB_STATE_QUEUED);
  };
  EXPECT_EQ(fake.run({"resume", "j1"}), 0);
  EXPECT_EQ(fake.run({"resume", "j1", "--workers", "3"}), 0);
  EXPECT_EQ(fake.run({"resume", "j1", "--workers", "2:4"}), 0);
  ASSERT_EQ(ranges.size(), 3U);
  EXPECT_FALSE(ranges[0].has_value());
  EXPECT_EQ(ranges[1]->min(), 3);
  EXPECT_EQ(ranges[1]->max(), 3);
  EXPECT_EQ(ranges[2]->min(), 2);
  EXPECT_EQ(ranges[2]->max(), 4);
  for (const char* wrong : {"0", "4:2", "2:", ":2", "two", "1:2:3", "-1"})
    EXPECT_EQ(fake.run({"resume", "j1", "--workers", wrong}), 2) << wrong;
  EXPECT_EQ(ranges.size(), 3U);
}

TEST_F(Control, RefusalsOfTheServer_AreOne) {
  fake.api.on_pause = [](const auto&, const auto&) -> v1::Job {
    throw Error(ErrorCode::kFailedPrecondition, "job j1 has ended");
  };
  EXPECT_EQ(fake.run({"pause", "j1"}), 1);
  EXPECT_THAT(fake.err.str(), HasSubstr("job j1 has ended"));
}

TEST_F(Control, InjectSaysWhatAndWhere) {
  v1::InjectFaultRequest asked;
  fake.api.on_inject = [&](const v1::InjectFaultRequest& request) {
    asked = request;
    v1::InjectFaultResponse response;
    response.set_worker_id("w-7");
    response.set_generation(3);
    return response;
  };
  EXPECT_EQ(fake.run({"inject", "j1", "--rank", "2", "slow", "--seconds", "0.5", "--steps", "20"}), 0);
  EXPECT_EQ(asked.id(), "j1");
  EXPECT_EQ(asked.rank(), 2);
  EXPECT_EQ(asked.fault().kind(), v1::FAULT_KIND_SLOW);
  EXPECT_EQ(asked.fault().seconds(), 0.5);
  EXPECT_EQ(asked.fault().steps(), 20);
  EXPECT_EQ(fake.out.str(), "slow into rank 2 of generation 3 on worker w-7\n");
  fake.out.str("");
  EXPECT_EQ(fake.run({"inject", "j1", "corrupt-checkpoint", "-o", "json"}), 0);
  EXPECT_EQ(asked.fault().kind(), v1::FAULT_KIND_CORRUPT_CHECKPOINT);
  EXPECT_EQ(fake.out.str(),
            "{\"fault\":\"corrupt-checkpoint\",\"rank\":0,\"worker_id\":\"w-7\",\"generation\":3}\n");
}

TEST_F(Control, InjectNonsense_IsUsage) {
  EXPECT_EQ(fake.run({"inject", "j1"}), 2);
  EXPECT_EQ(fake.run({"inject", "j1", "explode"}), 2);
  EXPECT_EQ(fake.run({"inject", "j1", "partition"}), 2) << "for how long?";
  EXPECT_EQ(fake.run({"inject", "j1", "slow", "--seconds", "0"}), 2);
  EXPECT_EQ(fake.run({"inject", "j1", "kill", "--rank", "-1"}), 2);
}

v1::Job recovered_job() {
  v1::Job job = job_in(v1::JOB_STATE_RUNNING, 90);
  job.set_workers(3);
  job.mutable_spec()->mutable_workers()->set_min(2);
  job.mutable_spec()->mutable_workers()->set_max(4);
  job.mutable_timeouts()->set_worker_lost_seconds(5);
  (*job.mutable_timeouts()->mutable_phase_seconds())["compute"] = 12.5;
  v1::Recovery& one = *job.add_recoveries();
  one.set_generation(2);
  one.set_reason("TrainerExit");
  one.set_message("rank 1 on node-a ended by signal 9");
  one.set_rank(1);
  one.mutable_detected_at()->set_seconds(1700000000);
  one.set_abort_seconds(0.05);
  one.set_rendezvous_seconds(0.625);
  one.set_first_step_seconds(0.2);
  one.set_total_seconds(0.875);
  one.set_from_step(40);
  one.set_source("memory of rank 0");
  one.set_workers(3);
  one.set_complete(true);
  job.set_recovery_count(1);
  return job;
}

TEST_F(Control, DescribeHasTimeoutsRecoveriesAndCheckpoints) {
  const mdgen::testing::TempDir run;
  std::filesystem::create_directories(run / "checkpoints" / "step-000000040-g0002");
  v1::Job job = recovered_job();
  job.set_run_folder(run.path());
  fake.api.on_get = [&](const std::string&) { return job; };
  EXPECT_EQ(fake.run({"describe", "j1"}), 0);
  const std::string text = fake.out.str();
  EXPECT_THAT(text, HasSubstr("workers       3 of 2 to 4\n"));
  EXPECT_THAT(text, HasSubstr("an agent without a beat 5 s"));
  EXPECT_THAT(text, HasSubstr("  compute     12.5 s without progress\n"));
  EXPECT_THAT(text, HasSubstr("checkpoints   1\n  step-000000040-g0002\n"));
  EXPECT_THAT(text, HasSubstr("recoveries    1; seconds\n"));
  EXPECT_THAT(
      text,
      HasSubstr("GEN  DETECTED   RANK  ABORT  WAIT  JOIN  HEAL  STEP  TOTAL  FROM  LOST  WORKERS  REASON\n"
                "  2    22:13:20Z  1     0.05   0.00  0.62  0.00  0.20  0.88   40    0     3        "
                "TrainerExit\n       rank 1 on node-a ended by signal 9\n"
                "       went on from memory of rank 0\n"));
}

TEST_F(Control, DescribeAsJson_IsTheWholeJob) {
  fake.api.on_get = [&](const std::string&) { return recovered_job(); };
  EXPECT_EQ(fake.run({"describe", "j1", "-o", "json"}), 0);
  const config::Json json = config::Json::parse(fake.out.str());
  EXPECT_EQ(json["recoveries"][0]["source"], "memory of rank 0");
  EXPECT_EQ(json["timeouts"]["phase_seconds"]["compute"], 12.5);
}

TEST_F(Control, StatusTellsOfTheLastRecovery) {
  v1::Job job = recovered_job();
  EXPECT_THAT(status_text(job, {}, {}),
              HasSubstr("recoveries    1, the last in 0.88 s from memory of rank 0: TrainerExit: "
                        "rank 1 on node-a ended by signal 9\n"));
  job.mutable_recoveries(0)->set_complete(false);
  EXPECT_THAT(status_text(job, {}, {}), HasSubstr("recoveries    1, the last under way: TrainerExit"));
  job.clear_recoveries();
  EXPECT_THAT(status_text(job, {}, {}), Not(HasSubstr("recoveries")));
}

}  // namespace
}  // namespace mdgen::client
