// Engine: what agents say and how long they are silent.
#include <algorithm>
#include <utility>

#include "core/base/identity.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {

void Engine::take_seats(JobRecord& record) {
  for (const Member& member : record.generation->members)
    seats_[member.incarnation].push_back({&record, member.rank});
}

void Engine::leave_seats(const JobRecord& record) {
  for (const Member& member : record.generation->members) {
    const auto seats = seats_.find(member.incarnation);
    if (seats == seats_.end()) continue;
    std::erase_if(seats->second, [&](const Seat& seat) { return seat.record == &record; });
    if (seats->second.empty()) seats_.erase(seats);
  }
}

Member* Engine::seat_in(JobRecord& record, const std::string& incarnation) {
  const auto seats = seats_.find(incarnation);
  if (seats == seats_.end()) return nullptr;
  for (const Seat& seat : seats->second)
    if (seat.record == &record) return record.generation->member(seat.rank);
  return nullptr;
}

std::string Engine::connect(Now now, const v1::Register& identity) {
  std::string id;
  if (const Worker* known = registry_.by_incarnation(identity.incarnation())) {
    id = known->id;
  } else if (const auto seats = seats_.find(identity.incarnation()); seats != seats_.end()) {
    const Seat& seat = seats->second.front();
    id = seat.record->generation->member(seat.rank)->worker_id;
  } else {
    id = "w-" + make_short_id();
  }
  lose_examination(now, id, "its connection ended");
  Worker& worker = registry_.add(id, identity, now.steady);
  v1::CoordinatorMessage message;
  message.mutable_welcome()->set_worker_id(id);
  message.mutable_welcome()->set_epoch(epoch_);
  send(id, std::move(message));
  if (dismissal_) dismiss(id);
  adopt(now, worker);
  settle(now);
  return id;
}

void Engine::adopt(Now now, const Worker& known) {
  Worker& worker = *registry_.find(known.id);
  const auto& running = worker.identity.running();
  for (const v1::GenerationId& id : running) {
    JobRecord* record = live_record(id);
    Member* member = record == nullptr ? nullptr : seat_in(*record, worker.identity.incarnation());
    registry_.occupy(worker, id, member == nullptr ? -1 : member->rank);
    if (member == nullptr || record->generation->cause() != nullptr) {
      if (member != nullptr) member->kill_sent = true;
      send_stop(worker.id, id, true);
      continue;
    }
    member->connected = true;
    member->last_heard = now.steady;
    if (record->state() == v1::JOB_STATE_CANCELLING) send_stop(*record, *member, false);
    v1::CoordinatorMessage message;
    *message.mutable_lease()->mutable_id() = id;
    message.mutable_lease()->mutable_lease()->set_duration_ms(options_.lease.count());
    record->generation->lease_granted = now.steady;
    send(worker.id, std::move(message));
  }
  const auto seats = seats_.find(worker.identity.incarnation());
  if (seats == seats_.end()) return;
  for (const auto& [record, rank] : seats->second) {
    Member* member = record->generation->member(rank);
    if (member->gone) continue;
    const bool runs = std::any_of(running.begin(), running.end(), [&, job = record](const auto& id) {
      return id.job_id() == job->id() && id.generation() == job->generation->number;
    });
    member->connected = true;
    if (runs) continue;
    if (member->lost) {
      member->gone = true;
    } else if (!member->missing_since) {
      member->missing_since = now.steady;
    }
  }
}

void Engine::beat(Now now, const std::string& worker_id, const v1::Beat& beat) {
  Worker* worker = registry_.find(worker_id);
  if (worker == nullptr) return;
  worker->last_beat = now.steady;
  if (!worker->busy || beat.phase() == v1::TRAINER_PHASE_UNSPECIFIED) return;
  JobRecord* record = live_record(*worker->busy);
  if (record == nullptr) return;
  Member* member = record->generation->member(worker->rank);
  if (member != nullptr && member->worker_id == worker_id) member->last_heard = now.steady;
}

void Engine::trainer_event(Now now, const std::string& worker_id, const v1::TrainerEvent& event) {
  if (event.event_case() == v1::TrainerEvent::kExited) return on_exit(now, worker_id, event);
  JobRecord* record = live_record(event.id());
  Member* member = record == nullptr ? nullptr : record->generation->member(event.rank());
  if (member == nullptr || member->worker_id != worker_id) return;
  member->last_heard = now.steady;
  switch (event.event_case()) {
    case v1::TrainerEvent::kStarted:
      if (std::exchange(member->started, true)) return;  // agents repeat what may have been lost
      if (member->rank == 0) on_started(*record, event.started());
      break;
    case v1::TrainerEvent::kStep:
      if (member->rank == 0) on_step(*record, event.step());
      return;
    case v1::TrainerEvent::kValidation:
      record->job.set_val_loss(event.validation().val_loss());
      warn_of_bad_samples(record->job, "validation", event.validation().bad_samples());
      record->mark(JobRecord::Unsaved::kProgress);
      return;
    case v1::TrainerEvent::kCheckpoint:
      on_checkpoint(*record, event.checkpoint());
      return;
    case v1::TrainerEvent::kFinished:
      if (member->finish) return;
      member->finish = event.finished();
      if (auto evidence = judge_finish(*member, event.finished())) fail(now, *record, std::move(*evidence));
      break;
    default:
      return;
  }
  settle(now);
}

void Engine::on_started(JobRecord& record, const v1::StartReport& report) {
  Generation& generation = *record.generation;
  generation.last_step = report.first_step();
  record.job.set_step(report.first_step());
  if (!report.checkpoint().empty()) {
    record.job.set_checkpoint(report.checkpoint());
    record.job.set_checkpoint_step(report.first_step());
  }
  for (const std::string& note : report.notes()) record.job.add_warnings(note);
  const std::int64_t lost = record.ledger.begin(
      generation.number, static_cast<int>(generation.members.size()), record.plan_digest, report.first_step(),
      record.restart_cause.empty() ? report.checkpoint() : record.restart_cause,
      {report.ledger().begin(), report.ledger().end()});
  record.job.set_lost_steps(record.job.lost_steps() + lost);
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::on_step(JobRecord& record, const v1::StepReport& report) {
  Generation& generation = *record.generation;
  if (report.step() <= generation.last_step) return;
  generation.last_step = report.step();
  record.best_step = std::max(record.best_step, report.step());
  record_step(record.job, record.pace, report);
  record.ledger.step(report);
  record.mark(JobRecord::Unsaved::kProgress);
}

void Engine::on_checkpoint(JobRecord& record, const v1::CheckpointReport& report) {
  if (!report.verified() || report.step() < record.job.checkpoint_step()) return;
  record.job.set_checkpoint(report.folder());
  record.job.set_checkpoint_step(report.step());
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::on_exit(Now now, const std::string& worker_id, const v1::TrainerEvent& event) {
  Worker* worker = registry_.find(worker_id);
  if (worker != nullptr && worker->busy && worker->busy->job_id() == event.id().job_id() &&
      worker->busy->generation() == event.id().generation())
    registry_.release(*worker);
  JobRecord* record = live_record(event.id());
  Member* member = record == nullptr ? nullptr : record->generation->member(event.rank());
  if (member != nullptr && member->worker_id == worker_id && !member->gone)
    trainer_over(now, *record, *member, event.exited());
  settle(now);
}

void Engine::trainer_over(Now now, JobRecord& record, Member& member, const v1::ProcessExit& exit) {
  member.gone = true;
  member.exit_code = exit.exit_code();
  member.signal = exit.signal();
  if (auto evidence = judge_exit(member, exit)) fail(now, record, std::move(*evidence));
}

void Engine::fail(Now now, JobRecord& record, Evidence evidence) {
  Generation& generation = *record.generation;
  const Evidence* cause = generation.cause();
  if (cause == nullptr || evidence.kind < cause->kind) generation.evidence.push_back(std::move(evidence));
  if (!generation.failed_at) generation.failed_at = now.steady;
}

void Engine::disconnect(Now now, const std::string& worker_id, const std::string& how) {
  const Worker* worker = registry_.find(worker_id);
  if (worker == nullptr) return;
  lose_examination(now, worker_id, how);
  const auto seats = seats_.find(worker->identity.incarnation());
  registry_.remove(worker_id);
  if (seats != seats_.end()) {
    for (const auto& [record, rank] : seats->second) {
      Member& member = *record->generation->member(rank);
      if (member.over()) continue;
      member.lost = true;
      fail(now, *record, worker_lost(member, how));
    }
  }
  settle(now);
}

void Engine::leave(Now now, const std::string& worker_id, const std::string& reason) {
  const Worker* worker = registry_.find(worker_id);
  const auto seats = worker == nullptr ? seats_.end() : seats_.find(worker->identity.incarnation());
  if (seats != seats_.end()) {
    for (const auto& [record, rank] : seats->second) {
      Member& member = *record->generation->member(rank);
      if (member.over()) continue;
      member.gone = true;
      if (!member.stop_sent && !member.kill_sent)
        fail(now, *record, worker_lost(member, "it left: " + reason));
    }
  }
  disconnect(now, worker_id, "it left: " + reason);
}

void Engine::exchange(const v1::ExchangeRequest& request, Ticket ticket) {
  answer(rendezvous_.post(request, ticket));
}

void Engine::dismiss_workers(const std::string& reason) {
  dismissal_ = reason;
  for (const Worker* worker : registry_.all()) dismiss(worker->id);
}

void Engine::dismiss(const std::string& worker_id) {
  v1::CoordinatorMessage message;
  message.mutable_shutdown()->set_reason(*dismissal_);
  send(worker_id, std::move(message));
}

void Engine::check_silence(Now now) {
  const bool grace_over = now.steady >= reconnect_until_;
  for (const auto& record : jobs_) {
    if (!record->has_open_generation()) continue;
    for (Member& member : record->generation->members) {
      if (member.over()) continue;
      if (!member.connected) {
        if (!grace_over) continue;
        member.lost = true;
        fail(now, *record, worker_lost(member, "it did not come back after the coordinator's restart"));
      } else if (member.missing_since &&
                 now.steady - *member.missing_since >= options_.missing_trainer_wait) {
        member.gone = true;
        if (!member.stop_sent)
          fail(now, *record,
               {Evidence::Kind::kWorkerLost, member.rank, "TrainerLost",
                "rank " + std::to_string(member.rank) + " on " + member.host +
                    " ended while its agent was away",
                true});
      } else if (now.steady - member.last_heard >= options_.trainer_silent_after && !member.kill_sent) {
        member.last_heard = now.steady;
        fail(now, *record, trainer_silent(member, options_.trainer_silent_after));
      }
    }
  }
}

void Engine::forgive(std::chrono::nanoseconds pause) {
  registry_.forgive(pause);
  for (const auto& record : jobs_) {
    if (!record->has_open_generation()) continue;
    for (Member& member : record->generation->members) member.last_heard += pause;
  }
}

void Engine::tick(Now now) {
  const auto since = now.steady - std::exchange(last_tick_, now.steady);
  if (since > options_.own_pause) forgive(since);
  for (const std::string& id : registry_.silent(now.steady, options_.worker_lost_after)) {
    outputs_.emplace_back(DropAgent{id, "no beat"});
    disconnect(
        now, id,
        "no beat for " + std::to_string(options_.worker_lost_after.count() / 1000.0).substr(0, 4) + " s");
  }
  check_silence(now);
  settle(now);
}

}  // namespace mdgen::coordinator
