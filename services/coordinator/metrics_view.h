// What the gauges of /metrics show: a copy of a few numbers, so that nobody waits while they are written out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/coordinator/engine.h"

namespace mdgen::coordinator {

struct MetricsView {
  struct Job {
    std::string id;
    std::string name;
    std::optional<double> loss, val_loss, last_step_at;  // seconds since 1970
    double step = 0, total_steps = 0, epoch = 0;
    double eta_seconds = 0;
    double tokens_per_second = 0, samples_per_second = 0, flops_per_second = 0;
    double ceiling_ratio = 0, goodput_ratio = 0;
    double workers = 0;
    std::vector<Slowness> ranks;  // of the current generation
  };
  struct Worker {
    std::string id, host, device;
    double beat_age_seconds = 0;
  };
  std::map<std::string, int> jobs_by_state;     // every state
  std::map<std::string, int> workers_by_state;  // FREE, BUSY, EXAMINING, DRAINING
  int queued = 0;
  bool store_fails = false;
  std::vector<Job> jobs;  // that had a generation, and did not end longer than kEndedStay ago
  std::vector<Worker> workers;

  std::set<std::string> job_ids() const;
};

inline constexpr std::chrono::minutes kEndedStay{10};

MetricsView view_of(const std::vector<const JobRecord*>& jobs, const std::vector<const Worker*>& workers,
                    Now now);

}  // namespace mdgen::coordinator
