#include "services/client/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <limits>

#include "fake_world.h"

namespace mdgen::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DurationText, Units) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(59.4), "59s");
  EXPECT_EQ(duration_text(80), "1m20s");
  EXPECT_EQ(duration_text(3725), "1h02m");
  EXPECT_EQ(duration_text(90000), "1d01h");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
}

TEST(StateName, KnownAndUnknown) {
  EXPECT_EQ(state_name(v1::JOB_STATE_SUCCEEDED), "SUCCEEDED");
  EXPECT_EQ(state_name(static_cast<v1::JobState>(99)), "STATE_99");
}

TEST(ProgressText, LeavesOutWhatIsUnknown) {
  v1::Job job = job_in(v1::JOB_STATE_RUNNING, 50);
  EXPECT_EQ(progress_text(job), "step 50/200  epoch 0");
  job.set_epoch(1);
  job.set_loss(0.81234);
  job.set_tokens_per_second(3412.4);
  job.set_eta_seconds(80);
  EXPECT_EQ(progress_text(job), "step 50/200  epoch 1  loss 0.8123  3412 tokens/s  ETA 1m20s");
  job.set_state(v1::JOB_STATE_SUCCEEDED);
  job.set_val_loss(1.5);
  EXPECT_EQ(progress_text(job), "step 50/200  epoch 1  loss 0.8123  val_loss 1.5000  3412 tokens/s");
}

TEST(TransitionText, TimeStateReason) {
  v1::Transition transition;
  transition.set_state(v1::JOB_STATE_FAILED);
  transition.mutable_at()->set_seconds(1700000000);
  EXPECT_EQ(transition_text(transition, {}), "22:13:20Z FAILED");
  transition.set_reason("RankFailed");
  transition.set_message("rank 1:\nexit status 7");
  EXPECT_EQ(transition_text(transition, {}), "22:13:20Z FAILED  RankFailed: rank 1: exit status 7");
}

TEST(OutcomeText, SucceededAndFailed) {
  v1::Job job = job_in(v1::JOB_STATE_SUCCEEDED, 200);
  job.set_first_loss(1.25);
  job.set_loss(0.5);
  job.set_checkpoint("/r/c");
  EXPECT_EQ(outcome_text(job, {}), "job j1 SUCCEEDED  steps=200  loss=1.25->0.5  checkpoint=/r/c");
  job.set_state(v1::JOB_STATE_FAILED);
  job.set_reason("RankFailed");
  EXPECT_EQ(outcome_text(job, {}), "job j1 FAILED  RankFailed");
}

TEST(StatusText, HasTheFactsThatAreKnown) {
  v1::Job job = job_in(v1::JOB_STATE_RUNNING, 3);
  job.set_run_folder("/runs/run");
  job.add_warnings("no effect");
  job.mutable_created_at()->set_seconds(1700000000);
  *job.add_transitions()->mutable_at() = job.created_at();
  const WallTime now{std::chrono::seconds(1700000185)};
  const std::string text = status_text(job, now, {});
  EXPECT_THAT(text, HasSubstr("state         RUNNING\n"));
  EXPECT_THAT(text, HasSubstr("run folder    /runs/run\n"));
  EXPECT_THAT(text, HasSubstr("warning       no effect\n"));
  EXPECT_THAT(text, HasSubstr("created       2023-11-14T22:13:20Z (3m05s ago)\n"));
  EXPECT_THAT(text, Not(HasSubstr("ended")));
  EXPECT_THAT(text, Not(HasSubstr("checkpoint")));
}

TEST(ListText, AlignedColumns) {
  v1::ListJobsResponse jobs;
  EXPECT_EQ(list_text(jobs, {}, {}), "no jobs\n");
  *jobs.add_jobs() = job_in(v1::JOB_STATE_RUNNING, 3);
  jobs.mutable_jobs(0)->mutable_created_at()->set_seconds(100);
  jobs.mutable_jobs(0)->set_loss(0.25);
  const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(160));
  EXPECT_EQ(list_text(jobs, now, {}),
            "ID  NAME  STATE    STEP   LOSS  WORKERS  AGE\n"
            "j1  run   RUNNING  3/200  0.25  0        1m00s\n");
}

TEST(YamlText, ReadsBackAlike) {
  const config::Json json =
      config::Json::parse(R"({"a": {"b": "1", "c": null, "d": [1, 2.5, true], "e": []}})");
  const YAML::Node node = YAML::Load(yaml_text(json));
  EXPECT_EQ(node["a"]["b"].Tag(), "!");
  EXPECT_TRUE(node["a"]["c"].IsNull());
  EXPECT_EQ(node["a"]["d"][1].as<double>(), 2.5);
  EXPECT_EQ(node["a"]["e"].size(), 0U);
}

TEST(OneLine, ControlCharactersBecomeSpaces) {
  EXPECT_EQ(one_line("a\nb\tc\x1b[31m"), "a b c [31m");
  EXPECT_EQ(one_line("a\xc2\x9b"
                     "31mü"),
            "a 31mü")
      << "U+009B begins an escape sequence as well";
}

}  // namespace
}  // namespace mdgen::client
