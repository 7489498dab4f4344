// Engine: jobs and workers as people see them, and what is noted of a job.
#include <algorithm>

#include "services/coordinator/engine.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace {

double seconds_since(Clock::Steady at, Now now) {
  return std::max(0.0, std::chrono::duration<double>(now.steady - at).count());
}

}  // namespace

v1::Job Engine::view(const JobRecord& record, Now now) const {
  v1::Job job = record.job;
  if (!record.has_open_generation()) return job;
  for (const Member& member : record.generation->members) {
    v1::RankInfo& rank = *job.add_ranks();
    rank.set_rank(member.rank);
    rank.set_worker_id(member.worker_id);
    rank.set_host(member.host);
    rank.set_attempt(member.attempt);
    rank.set_phase(member.phase);
    rank.set_step(member.step);
    rank.set_compute_seconds(member.compute_seconds);
    rank.set_slowness(record.run.stragglers.of(member.rank).ratio);
    rank.set_straggler(record.run.stragglers.of(member.rank).straggler);
    const Worker* worker = registry_.find(member.worker_id);
    rank.set_beat_age_seconds(seconds_since(worker == nullptr ? member.last_heard : worker->last_beat, now));
  }
  return job;
}

v1::Worker Engine::view(const Worker& worker, Now now) const {
  v1::Worker view;
  const v1::Register& identity = worker.identity;
  view.set_id(worker.id);
  view.set_host(identity.host());
  view.set_pid(identity.pid());
  view.set_device(identity.device());
  view.set_address(identity.address());
  view.set_cpus(identity.cpus());
  *view.mutable_labels() = identity.labels();
  view.set_version(identity.version());
  *view.mutable_connected_at() = to_timestamp(worker.connected_at);
  view.set_beat_age_seconds(seconds_since(worker.last_beat, now));
  view.set_state(state_name(worker));
  view.set_rank(-1);
  if (worker.examining) view.set_job_id(worker.examining->job_id);
  if (!worker.busy) return view;
  view.set_job_id(worker.busy->job_id());
  view.set_rank(worker.rank);
  const auto found = by_id_.find(worker.busy->job_id());
  if (found == by_id_.end() || !found->second->has_open_generation()) return view;
  const Generation& generation = *found->second->generation;
  const Member* member = generation.member(worker.rank);
  if (generation.number != worker.busy->generation() || member == nullptr) return view;
  view.set_phase(member->phase);
  view.set_step(member->step);
  const Slowness slowness = found->second->run.stragglers.of(worker.rank);
  view.set_slowness(slowness.ratio);
  view.set_straggler(slowness.straggler);
  return view;
}

void Engine::note(Now now, JobRecord& record, const std::string& kind, const std::string& reason,
                  const std::string& message, const std::string& actor) {
  v1::JobEvent event;
  *event.mutable_at() = to_timestamp(now.wall);
  event.set_kind(kind);
  event.set_reason(reason);
  event.set_message(message);
  event.set_state(record.state());
  event.set_actor(actor);
  record.events.add(std::move(event));
  record.mark(kind == "Change" ? JobRecord::Unsaved::kState : JobRecord::Unsaved::kProgress);
}

void Engine::warn(Now now, JobRecord& record, const std::string& text) {
  add_warning(record.job, text);
  note(now, record, "Warning", "Warning", text);
}

// New ones stand at the end; when old ones went at the same time, the last is looked at alone.
void Engine::noting_warnings(Now now, JobRecord& record, const std::function<void()>& change) {
  const auto& warnings = record.job.warnings();
  const int before = warnings.size();
  const std::string last = before == 0 ? "" : warnings[before - 1];
  change();
  int first = before;
  if (warnings.size() <= before && !warnings.empty() && warnings[warnings.size() - 1] != last)
    first = warnings.size() - 1;
  for (int index = first; index < warnings.size(); ++index)
    note(now, record, "Warning", "Warning", warnings[index]);
}

}  // namespace mdgen::coordinator
