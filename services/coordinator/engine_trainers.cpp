// Engine: what trainers report.
#include <algorithm>
#include <utility>

#include "services/coordinator/engine.h"

namespace mdgen::coordinator {

void Engine::trainer_event(Now now, const std::string& worker_id, const v1::TrainerEvent& event) {
  if (event.event_case() == v1::TrainerEvent::kExited) return on_exit(now, worker_id, event);
  JobRecord* record = live_record(event.id());
  Member* member = record == nullptr ? nullptr : record->generation->member(event.rank());
  if (member == nullptr || member->worker_id != worker_id) return late_event(now, worker_id, event);
  member->last_heard = now.steady;
  switch (event.event_case()) {
    case v1::TrainerEvent::kStarted:
      if (std::exchange(member->started, true)) return;  // agents repeat what may have been lost
      if (member->rank == 0) on_started(now, *record, event.started());
      break;
    case v1::TrainerEvent::kStep:
      if (member->rank == 0) on_step(now, *record, event.step());
      return;
    case v1::TrainerEvent::kLeft:
      on_left(now, *record, *member, event.left());
      break;
    case v1::TrainerEvent::kValidation:
      record->job.set_val_loss(event.validation().val_loss());
      noting_warnings(now, *record, [&] {
        warn_of_bad_samples(record->job, "validation", event.validation().bad_samples());
      });
      record->mark(JobRecord::Unsaved::kProgress);
      return;
    case v1::TrainerEvent::kCheckpoint:
      on_checkpoint(now, *record, event.checkpoint());
      return;
    case v1::TrainerEvent::kFinished:
      if (member->finish) return;
      member->finish = event.finished();
      member->asked_at = now.steady;  // its end is due
      if (auto evidence = judge_finish(*member, event.finished())) {
        blame_joiners(now, *record, *member, *evidence);
        fail(now, *record, std::move(*evidence));
      }
      break;
    default:
      return;
  }
  settle(now);
}

void Engine::on_started(Now now, JobRecord& record, const v1::StartReport& report) {
  Generation& generation = *record.generation;
  generation.last_step = report.first_step();
  for (const std::string& text : report.notes()) warn(now, record, text);
  const std::int64_t lost = record.ledger.begin(
      generation.number, static_cast<int>(generation.members.size()), record.plan_digest, report.first_step(),
      record.restart_cause.empty() ? report.checkpoint() : record.restart_cause,
      {report.ledger().begin(), report.ledger().end()});
  record_start(record.job, record.run, report, lost);
  next_started(record.job, record.recovery, now.steady, report, lost);
  record.mark(JobRecord::Unsaved::kState);
}

// Before a generation has started, its rank 0 may still report what a dead one had not: steps of before.
void Engine::on_step(Now now, JobRecord& record, const v1::StepReport& report) {
  Generation& generation = *record.generation;
  const bool earlier = !generation.members[0].started;
  if (report.step() <= (earlier ? record.ledger.last_step() : generation.last_step)) return;
  record.best_step = std::max(record.best_step, report.step());
  noting_warnings(now, record, [&] { record_step(record.job, record.run, report, {now.steady, now.wall}); });
  telemetry().step(record.job, report);
  record.ledger.step(report);
  record.mark(JobRecord::Unsaved::kProgress);
  if (earlier) return;
  generation.last_step = report.step();
  record.measured.step(report.seconds(), record.job.workers());
  if (std::exchange(generation.stepped, true)) return;
  for (const Member& member : generation.members) record.proven.insert(member.worker_id);
  record.measured.first_step(Seconds(now.steady - generation.opened_at).count());
  if (!record.recovery.started) return;
  first_step_done(record.job, record.recovery, now.steady);
  const v1::Recovery& recovery = record.job.recoveries(record.job.recoveries_size() - 1);
  telemetry().recovered(record.job, recovery, record.recovery.detect_seconds);
  note(now, record, "Recovery", recovery.reason(), recovered_text(recovery));
  record.recovery = {};
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::on_checkpoint(Now now, JobRecord& record, const v1::CheckpointReport& report) {
  record_checkpoint(record.job, report);
  telemetry().checkpoint(record.job, report);
  note(now, record, "Checkpoint", report.verified() ? "Written" : "CheckpointFailed",
       checkpoint_text(report));
  const double seconds = report.blocked_seconds() + report.persist_seconds();
  if (report.verified() && seconds > 0.0) record.measured.phase(v1::TRAINER_PHASE_CHECKPOINT, seconds);
  record.mark(JobRecord::Unsaved::kState);
}

// An error of its own says something of the worker, not of the job, when the worker has just joined those
// that had got on without it. Ranks that compare their hardware all fail, whoever differs.
void Engine::blame_joiners(Now now, JobRecord& record, const Member& member, Evidence& evidence) {
  Generation& generation = *record.generation;
  if (evidence.restartable || generation.stepped) return;
  const auto joins = [&](const Member& one) { return !record.proven.contains(one.worker_id); };
  if (std::all_of(generation.members.begin(), generation.members.end(), joins)) return;
  const bool mixed = evidence.reason == "MixedHardware";
  for (Member& one : generation.members) {
    if (!joins(one) || (!mixed && one.rank != member.rank)) continue;
    evidence.joiner = evidence.restartable = true;
    one.draining = true;
    if (!record.refused.insert(one.worker_id).second) continue;
    warn(now, record,
         "worker " + one.worker_id + " on " + one.host +
             " is not used for this job any more: " + evidence.message);
    record.mark(JobRecord::Unsaved::kState);
  }
}

void Engine::on_exit(Now now, const std::string& worker_id, const v1::TrainerEvent& event) {
  Worker* worker = registry_.find(worker_id);
  if (worker != nullptr && worker->busy && worker->busy->job_id() == event.id().job_id() &&
      worker->busy->generation() == event.id().generation())
    registry_.release(*worker);
  JobRecord* record = live_record(event.id());
  Member* member = record == nullptr ? nullptr : record->generation->member(event.rank());
  if (member != nullptr && member->worker_id == worker_id) {
    if (!member->gone) trainer_over(now, *record, *member, event.exited());
  } else {
    late_event(now, worker_id, event);
  }
  settle(now);
}

void Engine::trainer_over(Now now, JobRecord& record, Member& member, const v1::ProcessExit& exit) {
  member.gone = true;
  member.exit_code = exit.exit_code();
  member.signal = exit.signal();
  if (auto evidence = judge_exit(member, exit)) fail(now, record, std::move(*evidence));
}

}  // namespace mdgen::coordinator
