#include "core/config/json.h"

#include <limits>

#include "spec_fixture.h"

namespace mdgen::config {
namespace {

TEST(JobJson, HasEveryFieldOfTheInterface) {
  const Json job = Json::parse(job_json(v1::Job()));
  for (const char* key : {"id", "name", "state", "reason", "message", "step", "epoch", "loss", "workers",
                          "restarts", "checkpoint", "run_folder", "created_at", "started_at", "ended_at"}) {
    EXPECT_TRUE(job.contains(key)) << key;
  }
  EXPECT_TRUE(job["loss"].is_null());
  EXPECT_TRUE(job["ended_at"].is_null());
  EXPECT_TRUE(job["checkpoint"].is_null());
  EXPECT_EQ(job["step"], 0);
  EXPECT_EQ(job["restarts"], 0);
}

TEST(JobJson, StatesNumbersAndTimes) {
  v1::Job job;
  job.set_id("abc");
  job.set_state(v1::JOB_STATE_SUCCEEDED);
  job.set_step(9007199254740993);
  job.set_loss(0.25);
  job.set_val_loss(std::numeric_limits<double>::quiet_NaN());
  job.mutable_created_at()->set_seconds(1700000000);
  job.mutable_created_at()->set_nanos(5000000);
  job.add_warnings("w");
  v1::Transition& transition = *job.add_transitions();
  transition.set_state(v1::JOB_STATE_RUNNING);
  transition.mutable_at()->set_seconds(1700000001);
  job.mutable_spec()->mutable_optim()->set_lr(1e-4);
  const Json json = Json::parse(job_json(job));
  EXPECT_EQ(json["state"], "SUCCEEDED");
  EXPECT_EQ(json["step"].dump(), "9007199254740993");
  EXPECT_EQ(json["loss"], 0.25);
  EXPECT_TRUE(json["val_loss"].is_null());
  EXPECT_EQ(json["created_at"], "2023-11-14T22:13:20.005Z");
  EXPECT_EQ(json["warnings"].dump(), "[\"w\"]");
  EXPECT_EQ(json["transitions"][0]["state"], "RUNNING");
  EXPECT_EQ(json["transitions"][0]["at"], "2023-11-14T22:13:21Z");
  EXPECT_EQ(json["spec"].dump(), R"({"optim":{"lr":0.0001}})");
}

TEST(JobsJson, IsAnObjectWithAList) {
  v1::ListJobsResponse response;
  response.add_jobs()->set_id("a");
  response.add_jobs()->set_id("b");
  const Json json = Json::parse(jobs_json(response));
  ASSERT_EQ(json["jobs"].size(), 2U);
  EXPECT_EQ(json["jobs"][1]["id"], "b");
  EXPECT_EQ(Json::parse(jobs_json({}))["jobs"].dump(), "[]");
}

}  // namespace
}  // namespace mdgen::config
