#include "services/coordinator/metrics.h"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <sstream>
#include <utility>
#include <vector>

#include "services/coordinator/job_state.h"
#include "services/coordinator/metrics_gauges.h"

namespace mdgen::coordinator {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

const Buckets& step_buckets() {
  static const Buckets buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                               1,     2.5,    5,     10,   25,    60,   150, 600};
  return buckets;
}

const Buckets& long_buckets() {
  static const Buckets buckets{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800};
  return buckets;
}

// That a report is of.
std::int64_t steps_of(const v1::StepReport& report) {
  return report.first_step() > 0 ? report.step() - report.first_step() + 1 : 1;
}

std::vector<std::pair<const char*, double>> parts_of(const v1::StepReport& report) {
  const v1::StepTimes& times = report.times();
  return {{"data", times.data()},     {"forward", times.forward()},     {"backward", times.backward()},
          {"reduce", times.reduce()}, {"optimizer", times.optimizer()}, {"checkpoint", times.checkpoint()}};
}

std::vector<std::pair<const char*, double>> parts_of(const v1::Recovery& recovery, double detect_seconds) {
  return {{"detect", detect_seconds},
          {"abort", recovery.abort_seconds()},
          {"wait", recovery.wait_seconds()},
          {"rendezvous", recovery.rendezvous_seconds()},
          {"heal", recovery.heal_seconds()},
          {"first_step", recovery.first_step_seconds()},
          {"total", detect_seconds + recovery.total_seconds()}};
}

}  // namespace

Family<Counter>& Metrics::counter(const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
}

Family<prometheus::Gauge>& Metrics::gauge(const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
}

Family<Histogram>& Metrics::histogram(const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
}

Metrics::Metrics(const Clock& clock)
    : clock_(clock),
      submitted_(counter("mdgen_jobs_submitted_total", "Jobs that were accepted.").Add({})),
      ended_(counter("mdgen_jobs_ended_total", "Jobs that ended, by their last state.")),
      recoveries_(
          counter("mdgen_recoveries_total", "Recoveries that reached their first step, by root cause.")),
      recovery_seconds_(histogram("mdgen_recovery_seconds",
                                  "Time from a fault to the next step, by phase; total: all of it.")),
      lost_steps_(counter("mdgen_lost_steps_total", "Committed steps that were done again.").Add({})),
      lost_workers_(
          counter("mdgen_workers_lost_total", "Agents that were lost: their stream ended, or no beat came.")
              .Add({})),
      store_errors_(counter("mdgen_store_errors_total",
                            "Times that the store could not be written, each try of a failing one counted.")
                        .Add({})),
      restarts_(counter("mdgen_job_restarts_total", "Generations that a failure made necessary.")),
      samples_(counter("mdgen_samples_total", "Samples of committed steps.")),
      tokens_(counter("mdgen_tokens_total", "Residues x frames of committed steps, padding left out.")),
      skipped_steps_(counter("mdgen_skipped_steps_total",
                             "Steps that left the weights alone: a loss or gradient was not finite.")),
      checkpoint_failures_(
          counter("mdgen_checkpoint_failures_total", "Checkpoints that were not written or did not verify.")),
      step_seconds_(histogram("mdgen_step_duration_seconds",
                              "Rank 0's time of a step by phase; total: the whole step without checkpoint.")),
      checkpoint_blocked_(histogram("mdgen_checkpoint_blocked_seconds",
                                    "Time that training waited for a checkpoint's snapshot.")),
      checkpoint_persist_(histogram("mdgen_checkpoint_persist_seconds",
                                    "Time until a checkpoint was on the disk and read back.")),
      checkpoint_at_(gauge("mdgen_checkpoint_last_timestamp_seconds",
                           "When the newest verified checkpoint was reported.")),
      checkpoint_needed_(gauge("mdgen_checkpoint_needed_bytes", "What a checkpoint takes on the disk.")),
      checkpoint_free_(gauge("mdgen_checkpoint_free_bytes",
                             "What was free on the run folder's disk after the newest checkpoint.")) {
  gauge("mdgen_build_info", "1; its labels say which version this is.").Add({{"version", MDGEN_VERSION}}, 1);
  for (const v1::JobState state : {v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED})
    ended_.Add({{"state", state_name(state)}});
}

void Metrics::submitted() { submitted_.Increment(); }

void Metrics::ended(const v1::Job& job) { ended_.Add({{"state", state_name(job.state())}}).Increment(); }

void Metrics::step(const v1::Job& job, const v1::StepReport& report) {
  const std::lock_guard lock(mutex_);
  const auto steps = static_cast<double>(steps_of(report));
  samples_.of(job.id(), {}).Increment(report.samples());
  tokens_.of(job.id(), {}).Increment(steps * static_cast<double>(report.tokens()));
  Counter& skipped = skipped_steps_.of(job.id(), {});
  if (report.skipped()) skipped.Increment();
  const auto observe = [&](const char* phase, double seconds) {
    Histogram& histogram = step_seconds_.of(job.id(), {{"phase", phase}}, step_buckets());
    for (double i = 0; i < steps; ++i) histogram.Observe(seconds);
  };
  observe("total", report.seconds());
  if (!report.has_times()) return;
  for (const auto& [phase, seconds] : parts_of(report)) observe(phase, seconds);
}

void Metrics::checkpoint(const v1::Job& job, const v1::CheckpointReport& report) {
  const std::lock_guard lock(mutex_);
  Counter& failures = checkpoint_failures_.of(job.id(), {});
  if (report.bytes_needed() > 0)
    checkpoint_needed_.of(job.id(), {}).Set(static_cast<double>(report.bytes_needed()));
  if (report.bytes_free() >= 0)
    checkpoint_free_.of(job.id(), {}).Set(static_cast<double>(report.bytes_free()));
  if (!report.verified()) return failures.Increment();
  checkpoint_blocked_.of(job.id(), {}, long_buckets()).Observe(report.blocked_seconds());
  checkpoint_persist_.of(job.id(), {}, long_buckets()).Observe(report.persist_seconds());
  const auto now = clock_.wall().time_since_epoch();
  checkpoint_at_.of(job.id(), {}).Set(std::chrono::duration<double>(now).count());
}

void Metrics::restarted(const v1::Job& job, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  restarts_.of(job.id(), {{"reason", reason}}).Increment();
}

void Metrics::recovered(const v1::Job&, const v1::Recovery& recovery, double detect_seconds) {
  recoveries_.Add({{"reason", recovery.reason()}}).Increment();
  lost_steps_.Increment(static_cast<double>(recovery.lost_steps()));
  for (const auto& [phase, seconds] : parts_of(recovery, detect_seconds))
    recovery_seconds_.Add({{"phase", phase}}, long_buckets()).Observe(seconds);
}

void Metrics::worker_lost() { lost_workers_.Increment(); }

void Metrics::store_failed() { store_errors_.Increment(); }

std::string Metrics::text(const MetricsView& view) {
  {
    const std::lock_guard lock(mutex_);
    const std::set<std::string> jobs = view.job_ids();
    for (auto* series : {&restarts_, &samples_, &tokens_, &skipped_steps_, &checkpoint_failures_})
      series->keep(jobs);
    for (auto* series : {&step_seconds_, &checkpoint_blocked_, &checkpoint_persist_}) series->keep(jobs);
    for (auto* series : {&checkpoint_at_, &checkpoint_needed_, &checkpoint_free_}) series->keep(jobs);
  }
  std::vector<prometheus::MetricFamily> families = gauges(view);
  std::vector<prometheus::MetricFamily> kept = registry_.Collect();
  std::move(kept.begin(), kept.end(), std::back_inserter(families));
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace mdgen::coordinator
