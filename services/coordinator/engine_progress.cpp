// Engine: how jobs get on, looked at once a second.
#include <cstdio>
#include <string>
#include <vector>

#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

constexpr std::chrono::seconds kLookEvery{1};

std::string slowness_text(const Member& member, double ratio, double median) {
  char text[160];
  std::snprintf(text, sizeof text,
                " is slow: a step takes it %.3g s before it waits for others, %.2f times the median of all "
                "ranks (%.3g s)",
                member.compute_seconds, ratio, median);
  return who(member) + " on host " + member.host + text;
}

}  // namespace

Telemetry& Engine::telemetry() const {
  static Telemetry nobody;
  return options_.telemetry != nullptr ? *options_.telemetry : nobody;
}

void Engine::watch_progress(Now now) {
  if (watched_at_ && now.steady - *watched_at_ < kLookEvery) return;
  watched_at_ = now.steady;
  for (const auto& record : jobs_) {
    if (is_final(record->state()) || !record->job.has_started_at()) continue;
    update_goodput(record->job, record->run, now.wall);
    watch_stragglers(now, *record);
  }
}

// Only when steps were done since: beats that say the same again prove nothing.
void Engine::watch_stragglers(Now now, JobRecord& record) {
  if (record.state() != v1::JOB_STATE_RUNNING || !record.has_open_generation()) return;
  const Generation& generation = *record.generation;
  if (generation.broken_up || generation.last_step == record.run.looked_at) return;
  record.run.looked_at = generation.last_step;
  std::vector<double> seconds;
  for (const Member& member : generation.members) seconds.push_back(member.compute_seconds);
  StragglerWatch& stragglers = record.run.stragglers;
  for (const int rank : stragglers.look(seconds)) {
    const Member& member = *generation.member(rank);
    const std::string text = slowness_text(member, stragglers.of(rank).ratio, stragglers.median());
    outputs_.emplace_back(Warned{record.id(), text});
    warn(now, record, text);
  }
}

}  // namespace mdgen::coordinator
