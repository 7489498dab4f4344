// Engine: from decisions (reconcile, schedule) to changes and outputs.
#include <algorithm>
#include <set>

#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace {

bool waits(v1::JobState state) {
  return state == v1::JOB_STATE_VALIDATING || state == v1::JOB_STATE_QUEUED ||
         state == v1::JOB_STATE_RECOVERING;
}

}  // namespace

void Engine::settle(Now now) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& record : jobs_) {
      if (is_final(record->state())) continue;
      look_at_dependencies(*record);
      changed |= reconcile_once(now, *record, {});
    }
    const std::vector<Want> wants = this->wants(now);
    if (can_give(wants, registry_.size())) {
      for (const auto& [job_id, workers] : schedule(wants, registry_.pool()))
        changed |= reconcile_once(now, record(job_id), workers);
    }
    if (!changed) explain_waiting(now, wants);
  }
}

bool Engine::reconcile_once(Now now, JobRecord& record, const Offer& offer) {
  bool changed = false;
  for (const Action& action : reconcile(now.steady, record, offer, options_)) {
    if (const auto* text = std::get_if<Explain>(&action)) {
      changed |= explain(record, text->reason, text->message);
      continue;
    }
    changed = true;
    std::visit(
        [&](const auto& chosen) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(chosen)>, Explain>) apply(now, record, chosen);
        },
        action);
  }
  return changed;
}

void Engine::apply(Now now, JobRecord& record, const ChangeState& action) {
  v1::Job& job = record.job;
  check_transition(job.id(), job.state(), action.state);
  const auto at = to_timestamp(now.wall);
  job.set_state(action.state);
  job.set_reason(action.reason);
  job.set_message(action.message);
  v1::Transition& transition = *job.add_transitions();
  transition.set_state(action.state);
  transition.set_reason(action.reason);
  transition.set_message(action.message);
  *transition.mutable_at() = at;
  outputs_.emplace_back(Announce{job.id(), transition});
  note(now, record, "State", action.reason, action.message);
  keep_newest_transitions(job);
  if (action.state == v1::JOB_STATE_RUNNING) {
    if (!job.has_started_at()) *job.mutable_started_at() = at;
    record.remark.reset();
  }
  if (action.state == v1::JOB_STATE_PAUSING) record.desired.deadline = now.steady + record.desired.grace;
  if (action.state == v1::JOB_STATE_QUEUED || action.state == v1::JOB_STATE_PAUSED)
    record.restart_cause = record.generation ? action.reason : "";
  if (!waits(action.state)) job.clear_queue();
  if (is_final(action.state)) {
    *job.mutable_ended_at() = at;
    job.set_eta_seconds(0.0);
    update_goodput(job, record.run, now.wall);
    telemetry().ended(job);
  }
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::apply(Now now, JobRecord& record, const Expire&) {
  record.desired = {Desired::Goal::kExpire, options_.expiry_grace, now.steady + options_.expiry_grace};
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::apply(Now, JobRecord& record, const BuildManifest&) {
  record.validating = true;
  outputs_.emplace_back(
      RequestManifest{record.id(), record.job.run_folder(), record.job.spec(), std::nullopt});
}

void Engine::apply(Now now, JobRecord& record, const StopTrainers& action) {
  Generation& generation = *record.generation;
  for (const int rank : action.ranks) {
    Member& member = *generation.member(rank);
    member.asked_at = now.steady;
    if (!action.yield) member.stop_sent = true;
    member.writes = !action.yield && action.checkpoint && member.left.has_value();
    send_stop(record, member, action.checkpoint, action.yield);
  }
  if (action.yield && !generation.departure) generation.departure = Departure::kPause;
}

void Engine::apply(Now now, JobRecord& record, const KillTrainers& action) {
  Generation& generation = *record.generation;
  // In a recovery single members are killed; otherwise it is everybody's end.
  if (!generation.killed_at && action.all) generation.killed_at = now.steady;
  for (const int rank : action.ranks) {
    Member& member = *generation.member(rank);
    member.kill_sent = true;
    member.asked_at = now.steady;
    send_kill(record, member);
  }
}

void Engine::apply(Now now, JobRecord& record, const RenewLease&) {
  record.generation->lease_granted = now.steady;
  for (const Member& member : record.generation->members) {
    v1::CoordinatorMessage message;
    message.mutable_lease()->mutable_id()->set_job_id(record.id());
    message.mutable_lease()->mutable_id()->set_generation(record.generation->number);
    message.mutable_lease()->mutable_lease()->set_duration_ms(options_.lease.count());
    if (!member.over()) send(member.worker_id, std::move(message));
  }
}

void Engine::apply(Now, JobRecord& record, const CloseGeneration&) {
  leave_seats(record);
  record.generation->open = false;
  record.generation_unsaved = true;
  record.ledger.end_range();
  record.mark(JobRecord::Unsaved::kState);
  answer(rendezvous_.close(record.id()));
}

void Engine::send(const std::string& worker_id, v1::CoordinatorMessage message) {
  const Worker* worker = registry_.find(worker_id);
  if (worker == nullptr) return;
  message.set_beat(worker->beat_number);
  outputs_.emplace_back(SendToAgent{worker_id, std::move(message)});
}

void Engine::send_kill(const JobRecord& record, const Member& member) {
  send_kill(member.worker_id, record.generation_id());
}

void Engine::send_kill(const std::string& worker_id, const v1::GenerationId& id) {
  v1::CoordinatorMessage message;
  *message.mutable_stop()->mutable_id() = id;
  message.mutable_stop()->set_kill(true);
  send(worker_id, std::move(message));
}

void Engine::send_stop(const JobRecord& record, const Member& member, bool checkpoint, bool yield) {
  v1::CoordinatorMessage message;
  *message.mutable_stop()->mutable_id() = record.generation_id();
  message.mutable_stop()->mutable_order()->set_checkpoint(checkpoint);
  message.mutable_stop()->mutable_order()->set_yield(yield);
  send(member.worker_id, std::move(message));
}

// The reason's first line alone: what follows are a trainer's last words, and every trainer logs what it is
// told, so that they would grow from failure to failure.
void Engine::send_abandon(const JobRecord& record, const Member& member, const std::string& reason) {
  v1::CoordinatorMessage message;
  *message.mutable_abandon()->mutable_id() = record.generation_id();
  message.mutable_abandon()->set_reason(reason.substr(0, reason.find('\n')));
  send(member.worker_id, std::move(message));
}

void Engine::answer(std::vector<ExchangeAnswer> answers) {
  for (ExchangeAnswer& one : answers) outputs_.emplace_back(std::move(one));
}

}  // namespace mdgen::coordinator
