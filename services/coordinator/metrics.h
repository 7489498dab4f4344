// /metrics in Prometheus' text format. docs/metrics.md lists the names.
//
// Counters and histograms are kept here from the coordinator's start on, and begin at 0 with each, as
// Prometheus expects of a process that was restarted. Gauges are made of the jobs' state at each scrape.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "core/base/clock.h"
#include "services/coordinator/metrics_view.h"
#include "services/coordinator/telemetry.h"

namespace mdgen::coordinator {

// Series of one family, some of which belong to a job and go with it. Not thread-safe.
template <typename Metric>
class JobSeries {
 public:
  explicit JobSeries(prometheus::Family<Metric>& family) : family_(family) {}

  // The series of a job with these further labels; `arguments` make a new one.
  template <typename... Arguments>
  Metric& of(const std::string& job, prometheus::Labels labels, const Arguments&... arguments) {
    Metric*& metric = jobs_[job][labels];
    if (metric == nullptr) {
      labels["job"] = job;
      metric = &family_.Add(labels, arguments...);
    }
    return *metric;
  }
  // Those of all other jobs end.
  void keep(const std::set<std::string>& jobs) {
    std::erase_if(jobs_, [&](const auto& entry) {
      if (jobs.contains(entry.first)) return false;
      for (const auto& [labels, metric] : entry.second) family_.Remove(metric);
      return true;
    });
  }

 private:
  prometheus::Family<Metric>& family_;
  std::map<std::string, std::map<prometheus::Labels, Metric*>> jobs_;
};

// Thread-safe. What is told takes microseconds and waits for no scrape's writing.
class Metrics : public Telemetry {
 public:
  explicit Metrics(const Clock& clock);

  void submitted() override;
  void ended(const v1::Job& job) override;
  void step(const v1::Job& job, const v1::StepReport& report) override;
  void checkpoint(const v1::Job& job, const v1::CheckpointReport& report) override;
  void restarted(const v1::Job& job, const std::string& reason) override;
  void recovered(const v1::Job& job, const v1::Recovery& recovery, double detect_seconds) override;
  void worker_lost();
  void store_failed();

  // Everything, with the gauges of `view`. Series of jobs that the view does not have end.
  std::string text(const MetricsView& view);

 private:
  prometheus::Family<prometheus::Counter>& counter(const char* name, const char* help);
  prometheus::Family<prometheus::Gauge>& gauge(const char* name, const char* help);
  prometheus::Family<prometheus::Histogram>& histogram(const char* name, const char* help);

  const Clock& clock_;
  prometheus::Registry registry_;
  std::mutex mutex_;  // of the series; not held while text is written

  prometheus::Counter& submitted_;
  prometheus::Family<prometheus::Counter>& ended_;
  prometheus::Family<prometheus::Counter>& recoveries_;
  prometheus::Family<prometheus::Histogram>& recovery_seconds_;
  prometheus::Counter& lost_steps_;
  prometheus::Counter& lost_workers_;
  prometheus::Counter& store_errors_;
  JobSeries<prometheus::Counter> restarts_, samples_, tokens_, skipped_steps_, checkpoint_failures_;
  JobSeries<prometheus::Histogram> step_seconds_, checkpoint_blocked_, checkpoint_persist_;
  JobSeries<prometheus::Gauge> checkpoint_at_, checkpoint_needed_, checkpoint_free_;
};

}  // namespace mdgen::coordinator
