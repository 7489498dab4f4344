#include "services/coordinator/recovery_log.h"

#include <algorithm>

#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace {

double between(Clock::Steady from, Clock::Steady to) {
  return std::max(0.0, std::chrono::duration<double>(to - from).count());
}

v1::Recovery* current(v1::Job& job) {
  return job.recoveries().empty() ? nullptr : job.mutable_recoveries(job.recoveries_size() - 1);
}

void write(v1::Recovery& recovery, const RootCause& cause) {
  recovery.set_reason(cause.reason);
  recovery.set_message(cause.message);
  recovery.set_rank(cause.rank);
  recovery.set_host(cause.host);
}

}  // namespace

void begin_recovery(v1::Job& job, RecoveryClock& clock, std::int64_t generation, const RootCause& cause,
                    Clock::Steady now, Clock::Wall wall) {
  clock = {};
  clock.detected = now;
  v1::Recovery& recovery = *job.add_recoveries();
  recovery.set_generation(generation);
  write(recovery, cause);
  *recovery.mutable_detected_at() = to_timestamp(wall);
  job.set_recovery_count(job.recovery_count() + 1);
  if (const int extra = job.recoveries_size() - kKeptRecoveries; extra > 0)
    job.mutable_recoveries()->DeleteSubrange(0, extra);
}

bool correct_cause(v1::Job& job, std::int64_t generation, const RootCause& cause) {
  for (v1::Recovery& recovery : *job.mutable_recoveries()) {
    if (recovery.generation() != generation) continue;
    write(recovery, cause);
    return true;
  }
  return false;
}

void all_out(v1::Job& job, RecoveryClock& clock, Clock::Steady now) {
  v1::Recovery* recovery = current(job);
  if (recovery == nullptr || clock.left) return;
  clock.left = now;
  recovery->set_abort_seconds(between(clock.detected, now));
}

void next_opened(v1::Job& job, RecoveryClock& clock, Clock::Steady now, int workers) {
  v1::Recovery* recovery = current(job);
  if (recovery == nullptr) return;
  all_out(job, clock, now);
  clock.opened = now;
  recovery->set_wait_seconds(between(*clock.left, now));
  recovery->set_workers(workers);
}

void next_started(v1::Job& job, RecoveryClock& clock, Clock::Steady now, const v1::StartReport& report,
                  std::int64_t lost_steps) {
  v1::Recovery* recovery = current(job);
  if (recovery == nullptr || !clock.opened) return;
  clock.started = now;
  const double whole = between(*clock.opened, now);
  const double heal = std::min(whole, std::max(0.0, report.heal_seconds()));
  recovery->set_heal_seconds(heal);
  recovery->set_rendezvous_seconds(whole - heal);
  recovery->set_from_step(report.first_step());
  recovery->set_lost_steps(lost_steps);
  recovery->set_source(source_text(report));
}

void first_step_done(v1::Job& job, RecoveryClock& clock, Clock::Steady now) {
  v1::Recovery* recovery = current(job);
  if (recovery == nullptr || !clock.started) return;
  recovery->set_first_step_seconds(between(*clock.started, now));
  recovery->set_total_seconds(between(clock.detected, now));
  recovery->set_complete(true);
  job.set_recovery_seconds(job.recovery_seconds() + recovery->total_seconds());
}

std::string source_text(const v1::StartReport& report) {
  if (report.source() == v1::STATE_SOURCE_MEMORY)
    return "memory of rank " + std::to_string(report.source_rank());
  return report.checkpoint().empty() ? "initial weights" : report.checkpoint();
}

}  // namespace mdgen::coordinator
