#include "services/coordinator/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::Gang;
using ::testing::HasSubstr;
using ::testing::Not;

class WallClock : public Clock {
 public:
  Steady steady() const override { return {}; }
  Wall wall() const override { return Wall(seconds(1'800'000'000)); }
};

v1::Job job(const std::string& id) {
  v1::Job job;
  job.set_id(id);
  return job;
}

MetricsView view_with(const std::string& id) {
  MetricsView view;
  view.jobs.emplace_back().id = id;
  return view;
}

class MetricsTest : public ::testing::Test {
 protected:
  WallClock clock_;
  Metrics metrics_{clock_};
};

TEST_F(MetricsTest, AtTheStart_CountersThatAlertsLookAtAreZero) {
  const std::string text = metrics_.text({});
  for (const char* line :
       {"# TYPE mdgen_jobs_ended_total counter", "mdgen_jobs_ended_total{state=\"FAILED\"} 0",
        "mdgen_workers_lost_total 0", "mdgen_store_errors_total 0", "mdgen_lost_steps_total 0",
        "mdgen_build_info{version=\""})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(MetricsTest, Steps_AreCountedAndTimedByPhase) {
  v1::StepReport report;
  report.set_step(1);
  report.set_samples(4);
  report.set_tokens(100);
  report.set_seconds(0.3);
  report.mutable_times()->set_forward(0.04);
  metrics_.step(job("a"), report);
  report.set_first_step(2);  // three that an agent put together
  report.set_step(4);
  report.set_samples(12);
  metrics_.step(job("a"), report);
  const std::string text = metrics_.text(view_with("a"));
  for (const char* line :
       {"\nmdgen_samples_total{job=\"a\"} 16\n", "\nmdgen_tokens_total{job=\"a\"} 400\n",
        "mdgen_step_duration_seconds_count{job=\"a\",phase=\"total\"} 4\n",
        "mdgen_step_duration_seconds_bucket{job=\"a\",phase=\"forward\",le=\"0.05\"} 4\n",
        "mdgen_step_duration_seconds_bucket{job=\"a\",phase=\"forward\",le=\"0.025\"} 0\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(MetricsTest, Checkpoints_HaveTimeSizeAndFailures) {
  v1::CheckpointReport report;
  report.set_verified(true);
  report.set_blocked_seconds(0.02);
  report.set_persist_seconds(2);
  report.set_bytes_needed(1000);
  report.set_bytes_free(5000);
  metrics_.checkpoint(job("a"), report);
  report.set_verified(false);
  report.set_bytes_free(-1);
  metrics_.checkpoint(job("a"), report);
  const std::string text = metrics_.text(view_with("a"));
  for (const char* line :
       {"mdgen_checkpoint_blocked_seconds_count{job=\"a\"} 1\n",
        "mdgen_checkpoint_persist_seconds_sum{job=\"a\"} 2\n",
        "mdgen_checkpoint_last_timestamp_seconds{job=\"a\"} 1800000000\n",
        "mdgen_checkpoint_failures_total{job=\"a\"} 1\n", "mdgen_checkpoint_needed_bytes{job=\"a\"} 1000\n",
        "mdgen_checkpoint_free_bytes{job=\"a\"} 5000\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(MetricsTest, Recoveries_HaveEveryPhase) {
  v1::Recovery recovery;
  recovery.set_reason("Hang");
  recovery.set_abort_seconds(1);
  recovery.set_total_seconds(3);
  recovery.set_lost_steps(7);
  metrics_.recovered(job("a"), recovery, 12);
  metrics_.restarted(job("a"), "Hang");
  const std::string text = metrics_.text(view_with("a"));
  for (const char* line :
       {"mdgen_recoveries_total{reason=\"Hang\"} 1\n", "mdgen_lost_steps_total 7\n",
        "mdgen_recovery_seconds_sum{phase=\"detect\"} 12\n",
        "mdgen_recovery_seconds_sum{phase=\"abort\"} 1\n", "mdgen_recovery_seconds_sum{phase=\"total\"} 15\n",
        "mdgen_job_restarts_total{job=\"a\",reason=\"Hang\"} 1\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(MetricsTest, SeriesOfJobsThatAreNotShownAnyMore_End) {
  metrics_.step(job("a"), {});
  metrics_.step(job("b"), {});
  EXPECT_THAT(metrics_.text(view_with("b")), Not(HasSubstr("\"a\"")));
  EXPECT_THAT(metrics_.text(view_with("b")), HasSubstr("mdgen_samples_total{job=\"b\"}"));
  EXPECT_THAT(metrics_.text({}), Not(HasSubstr("\"b\"")));
}

TEST(MetricsView, IsOfTheEnginesState) {
  Gang gang(2);
  gang.queued(testing::World::spec("waits"));
  const MetricsView view = view_of(gang.engine->jobs(), gang.engine->workers(), gang.now());
  EXPECT_EQ(view.jobs_by_state.at("RUNNING"), 1);
  EXPECT_EQ(view.jobs_by_state.at("QUEUED"), 1);
  EXPECT_EQ(view.jobs_by_state.at("FAILED"), 0);
  EXPECT_EQ(view.queued, 1);
  EXPECT_EQ(view.workers_by_state.at("BUSY"), 2);
  ASSERT_EQ(view.jobs.size(), 1U) << "one that never started has no series";
  EXPECT_EQ(view.jobs[0].loss, 1.0);
  EXPECT_EQ(view.jobs[0].step, 10);
  EXPECT_EQ(view.jobs[0].workers, 2);
  EXPECT_EQ(view.workers.size(), 2U);
  const WallClock clock;
  Metrics metrics{clock};
  EXPECT_THAT(metrics.text(view), HasSubstr("mdgen_train_loss{job=\"" + gang.id + "\"} 1\n"));
}

TEST(MetricsView, ForgetsAJobAWhileAfterItsEnd) {
  Gang gang(1);
  gang.finish(gang[0], v1::OUTCOME_FAILED, "BadData", "no");
  gang.exit(gang[0], 1);
  ASSERT_EQ(gang.state(gang.id), v1::JOB_STATE_FAILED);
  EXPECT_EQ(gang.heard.ends, std::vector{v1::JOB_STATE_FAILED});
  const auto shown = [&] { return view_of(gang.engine->jobs(), {}, gang.now()).jobs.size(); };
  EXPECT_EQ(shown(), 1U) << "its last values are to be scraped";
  EXPECT_EQ(view_of(gang.engine->jobs(), {}, gang.now()).jobs[0].tokens_per_second, 0.0);
  gang.pass(kEndedStay);
  EXPECT_EQ(shown(), 0U);
}

}  // namespace
}  // namespace mdgen::coordinator
