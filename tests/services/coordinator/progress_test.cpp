// How fast a job goes, and what became of its time.
#include "services/coordinator/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/coordinator/timestamps.h"
#include "tests/services/coordinator/gang.h"

namespace mdgen::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Gang;

v1::StepReport report(std::int64_t step, double taken = 0.5, std::int64_t tokens = 200) {
  v1::StepReport report;
  report.set_step(step);
  report.set_seconds(taken);
  report.set_tokens(tokens);
  report.set_samples(4);
  report.set_flops(1e9);
  report.mutable_times()->set_forward(0.1);
  report.mutable_times()->set_reduce(0.2);
  return report;
}

TEST(Pace, IsTheMeanOfTheLastSteps) {
  Pace pace;
  EXPECT_EQ(pace.tokens_per_second(), 0.0);
  for (std::size_t i = 0; i < Pace::kSteps; ++i) pace.add(report(1, 100.0, 1'000'000));
  for (std::size_t i = 0; i < Pace::kSteps; ++i) pace.add(report(2, 0.5, i % 2 == 0 ? 100 : 300));
  EXPECT_DOUBLE_EQ(pace.tokens_per_second(), 400.0);
  EXPECT_DOUBLE_EQ(pace.samples_per_second(), 8.0);
  EXPECT_DOUBLE_EQ(pace.flops_per_second(), 2e9);
  EXPECT_DOUBLE_EQ(pace.seconds_per_step(), 0.5);
  EXPECT_NEAR(pace.times().forward(), 0.1, 1e-12);
  EXPECT_NEAR(pace.times().reduce(), 0.2, 1e-12);
}

TEST(Pace, OfAReportOfSeveralSteps_SamplesAreASum) {
  Pace pace;
  v1::StepReport several = report(14);
  several.set_first_step(11);
  several.set_samples(16);
  pace.add(several);
  EXPECT_DOUBLE_EQ(pace.samples_per_second(), 8.0);
}

TEST(Stretch, IsWhatLiesBetweenSteps_WithoutRecoveries) {
  Stretch stretch;
  Clock::Steady now{};
  EXPECT_EQ(stretch.factor(), 1.0);
  for (int i = 0; i < 5; ++i) stretch.step(now += milliseconds(750), 0.5);
  EXPECT_DOUBLE_EQ(stretch.factor(), 1.5);
  stretch.interrupt();
  stretch.step(now += seconds(1000), 0.5);
  EXPECT_DOUBLE_EQ(stretch.factor(), 1.5) << "a recovery lies before it";
  for (int i = 0; i < 100; ++i) stretch.step(now += seconds(1000), 0.5);
  EXPECT_EQ(stretch.factor(), 10.0) << "bounded";
}

TEST(Stretch, ReportsThatComeTogether_AreNotFasterThanSteps) {
  Stretch stretch;
  const Clock::Steady now{};
  for (int i = 0; i < 5; ++i) stretch.step(now, 0.5);
  EXPECT_EQ(stretch.factor(), 1.0);
}

v1::Job job_of(std::vector<std::pair<v1::JobState, int>> transitions) {
  v1::Job job;
  for (const auto& [state, at] : transitions) {
    v1::Transition& transition = *job.add_transitions();
    transition.set_state(state);
    *transition.mutable_at() = to_timestamp(Clock::Wall(seconds(at)));
    if (state == v1::JOB_STATE_RUNNING && !job.has_started_at()) *job.mutable_started_at() = transition.at();
  }
  return job;
}

TEST(ActiveSeconds, LeaveOutTheQueueAndPauses) {
  v1::Job job = job_of({{v1::JOB_STATE_VALIDATING, 0},
                        {v1::JOB_STATE_QUEUED, 10},
                        {v1::JOB_STATE_STARTING, 100},
                        {v1::JOB_STATE_RUNNING, 105},
                        {v1::JOB_STATE_RECOVERING, 125},
                        {v1::JOB_STATE_STARTING, 126},
                        {v1::JOB_STATE_RUNNING, 130},
                        {v1::JOB_STATE_PAUSING, 150},
                        {v1::JOB_STATE_PAUSED, 155},
                        {v1::JOB_STATE_QUEUED, 1000},
                        {v1::JOB_STATE_STARTING, 2000},
                        {v1::JOB_STATE_RUNNING, 2005}});
  EXPECT_DOUBLE_EQ(active_seconds(job, Clock::Wall(seconds(2010))), 50.0 + 10.0);
  *job.mutable_ended_at() = to_timestamp(Clock::Wall(seconds(2008)));
  EXPECT_DOUBLE_EQ(active_seconds(job, Clock::Wall(seconds(9000))), 58.0);
  EXPECT_EQ(active_seconds(job_of({{v1::JOB_STATE_QUEUED, 0}}), Clock::Wall(seconds(5))), 0.0);
}

TEST(RecordStep, SeveralStepsInOneReportSpendTheirMeanEach) {
  v1::Job job = job_of({{v1::JOB_STATE_RUNNING, 100}});
  RunPace run;
  v1::StepReport step = report(5);
  step.set_first_step(2);
  step.mutable_times()->set_backward(0.5);
  record_step(job, run, step, {Clock::Steady(seconds(1)), Clock::Wall(seconds(101))});
  EXPECT_DOUBLE_EQ(job.spent().backward(), 2.0);
}

TEST(RecordStep, FillsWhatPeopleSee) {
  v1::Job job = job_of({{v1::JOB_STATE_RUNNING, 100}});
  job.set_total_steps(40);
  job.set_workers(2);
  RunPace run;
  v1::StartReport start;
  start.set_gemm_ceiling_flops(4e9);
  record_start(job, run, start, 0);
  for (int i = 1; i <= 10; ++i) {
    v1::StepReport step = report(i);
    step.set_grad_norm(1.5);
    step.set_lr(0.25);
    record_step(job, run, step, {Clock::Steady(seconds(i)), Clock::Wall(seconds(100 + i))});
  }
  EXPECT_EQ(job.step(), 10);
  EXPECT_DOUBLE_EQ(job.progress(), 0.25);
  EXPECT_EQ(job.grad_norm(), 1.5);
  EXPECT_EQ(job.lr(), 0.25);
  EXPECT_EQ(job.last_step_at().seconds(), 110);
  EXPECT_DOUBLE_EQ(job.samples_per_second(), 8.0);
  EXPECT_DOUBLE_EQ(job.step_seconds(), 0.5);
  EXPECT_NEAR(job.step_times().reduce(), 0.2, 1e-12);
  EXPECT_NEAR(job.spent().reduce(), 10 * 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(job.flops_per_second(), 2e9);
  EXPECT_DOUBLE_EQ(job.ceiling_ratio(), 0.25) << "of two ranks";
  EXPECT_DOUBLE_EQ(job.eta_seconds(), 30.0) << "steps of half a second come every second";
  EXPECT_DOUBLE_EQ(job.goodput_ratio(), 0.5);

  record_start(job, run, v1::StartReport(), 4);
  EXPECT_EQ(job.lost_steps(), 4);
  update_goodput(job, run, Clock::Wall(seconds(110)));
  EXPECT_DOUBLE_EQ(job.goodput_ratio(), 0.3) << "lost steps count no more";
  update_goodput(job, run, Clock::Wall(seconds(130)));
  EXPECT_DOUBLE_EQ(job.goodput_ratio(), 0.1) << "it falls while no step is done";
}

TEST(RunPace, IsTakenUpFromAStoredJob) {
  v1::Job job = job_of({{v1::JOB_STATE_RUNNING, 100}});
  *job.mutable_last_step_at() = to_timestamp(Clock::Wall(seconds(120)));
  job.set_step(20);
  job.set_workers(2);
  job.set_goodput_ratio(0.5);
  job.set_flops_per_second(2e9);
  job.set_ceiling_ratio(0.25);
  RunPace run;
  run.restore(job);
  EXPECT_DOUBLE_EQ(run.effort.seconds(), 10.0);
  EXPECT_DOUBLE_EQ(run.gemm_ceiling, 4e9);
}

TEST(Progress, OfAJobIsKeptByTheEngine) {
  Gang gang(2);
  const v1::Job& job = gang.job(gang.id);
  EXPECT_DOUBLE_EQ(job.progress(), 0.1);
  EXPECT_DOUBLE_EQ(job.step_seconds(), 0.5);
  gang.pass(seconds(10));
  EXPECT_NEAR(job.goodput_ratio(), 5.0 / 10.0, 1e-9) << "10 steps of 0.5 s in 10 s";
  gang.step(gang[0], 11);
  EXPECT_NEAR(job.goodput_ratio(), 5.5 / 10.0, 1e-9);
  gang.pass(seconds(1));
  gang.restart();
  gang.pass(milliseconds(100));
  EXPECT_NEAR(gang.job(gang.id).goodput_ratio(), 5.5 / 11.1, 0.06) << "taken up again, as it was last stored";
}

TEST(Progress, ADetectionTakesAsLongAsTheSilenceBefore) {
  Gang gang(2);
  gang.beat(1, v1::TRAINER_PHASE_COMPUTE, 10);
  gang.steady += milliseconds(4000);
  gang.lose(gang[1]);
  gang.left(gang[0], 10);
  gang.started(gang[0], 10);
  gang.step(gang[0], 11);
  ASSERT_EQ(gang.heard.detected_after.size(), 1U);
  EXPECT_NEAR(gang.heard.detected_after[0], 4.0, 1e-9);
}

}  // namespace
}  // namespace mdgen::coordinator
