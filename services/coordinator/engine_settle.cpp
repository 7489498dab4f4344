// Engine: from decisions (reconcile, schedule) to changes and outputs.
#include <algorithm>
#include <set>

#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {

void Engine::settle(Now now) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& record : jobs_)
      if (!is_final(record->state())) changed |= reconcile_once(now, *record, {});
    std::vector<Want> wants;
    for (const v1::JobState state :
         {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_VALIDATING, v1::JOB_STATE_QUEUED})
      for (const auto& record : jobs_)
        if (record->state() == state && record->wants_workers()) wants.push_back(record->want());
    if (can_give(wants, registry_.size())) {
      for (const auto& [job_id, workers] : schedule(wants, registry_.pool()))
        changed |= reconcile_once(now, record(job_id), workers);
    }
    if (!changed) explain_waiting(wants);
  }
}

bool Engine::reconcile_once(Now now, JobRecord& record, const std::vector<std::string>& offer) {
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

bool Engine::explain(JobRecord& record, const std::string& reason, const std::string& message) {
  if (record.job.reason() == reason && record.job.message() == message) return false;
  record.job.set_reason(reason);
  record.job.set_message(message);
  record.mark(JobRecord::Unsaved::kProgress);
  return true;
}

void Engine::explain_waiting(const std::vector<Want>& wants) {
  const PoolSize size = registry_.size();
  for (const Want& want : wants) {
    JobRecord& waiting = record(want.job_id);
    if (waiting.state() == v1::JOB_STATE_VALIDATING)
      explain(waiting, waiting_reason(want, size),
              "the examination of the data set " + waiting_message(want, size));
    if (waiting.state() == v1::JOB_STATE_QUEUED)
      explain(waiting, waiting_reason(want, size), waiting_message(want, size));
  }
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
  if (action.state == v1::JOB_STATE_RUNNING && !job.has_started_at()) *job.mutable_started_at() = at;
  if (is_final(action.state)) {
    *job.mutable_ended_at() = at;
    job.set_eta_seconds(0.0);
  }
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::apply(Now, JobRecord& record, const BuildManifest&) {
  record.validating = true;
  outputs_.emplace_back(
      RequestManifest{record.id(), record.job.run_folder(), record.job.spec(), std::nullopt});
}

void Engine::apply(Now now, JobRecord& record, const OpenGeneration& action) {
  if (record.generation) record.job.set_restarts(record.job.restarts() + 1);
  Generation generation;
  generation.number = ++record.last_generation;
  generation.lease_granted = now.steady;
  v1::GenerationId generation_id;
  generation_id.set_job_id(record.id());
  generation_id.set_generation(generation.number);
  std::unordered_map<std::string, int> on_machine;
  for (const std::string& worker_id : action.workers) {
    Worker& worker = *registry_.find(worker_id);
    Member member;
    member.rank = static_cast<int>(generation.members.size());
    member.attempt = record.earlier_attempts + ++record.attempts[member.rank];
    member.worker_id = worker_id;
    member.incarnation = worker.identity.incarnation();
    member.host = worker.identity.host();
    member.device = worker.identity.device();
    member.last_heard = now.steady;
    registry_.occupy(worker, generation_id, member.rank);
    ++on_machine[worker.identity.boot_id()];
    generation.members.push_back(std::move(member));
  }
  record.job.set_generation(generation.number);
  record.job.set_workers(static_cast<int>(generation.members.size()));
  record.generation = std::move(generation);
  record.generation_unsaved = true;
  take_seats(record);
  record.pace.clear();
  answer(rendezvous_.open(record.id(), record.generation->number, record.job.workers()));
  for (const Member& member : record.generation->members) {
    v1::CoordinatorMessage message;
    const std::string& machine = registry_.find(member.worker_id)->identity.boot_id();
    *message.mutable_start() = assignment(record, member, on_machine.at(machine));
    send(member.worker_id, std::move(message));
  }
}

v1::Assignment Engine::assignment(const JobRecord& record, const Member& member, int neighbours) const {
  const Worker& worker = *registry_.find(member.worker_id);
  const int share = std::max(1, worker.identity.cpus() / neighbours);
  const int fixed = record.job.spec().threads_per_worker();

  v1::Assignment assignment;
  assignment.mutable_id()->set_job_id(record.id());
  assignment.mutable_id()->set_generation(record.generation->number);
  assignment.set_rank(member.rank);
  assignment.set_world_size(static_cast<int>(record.generation->members.size()));
  assignment.set_attempt(member.attempt);
  *assignment.mutable_spec() = record.job.spec();
  assignment.set_run_folder(record.job.run_folder());
  assignment.set_manifest_digest(record.job.manifest_digest());
  assignment.mutable_plan()->set_first_step(-1);
  assignment.mutable_plan()->set_end_step(record.job.total_steps());
  assignment.mutable_plan()->set_world_size(assignment.world_size());
  assignment.mutable_plan()->set_plan_digest(record.plan_digest);
  assignment.mutable_lease()->set_duration_ms(options_.lease.count());
  assignment.set_device(member.device);
  assignment.set_threads(fixed > 0 ? fixed : share);
  assignment.set_bind_address(worker.identity.address());
  assignment.set_require_checkpoint(!record.job.checkpoint().empty() ||
                                    record.job.spec().resume() == "require");
  return assignment;
}

void Engine::apply(Now, JobRecord& record, const StopTrainers& action) {
  for (const int rank : action.ranks) {
    Member& member = *record.generation->member(rank);
    member.stop_sent = true;
    send_stop(record, member, false);
  }
}

void Engine::apply(Now now, JobRecord& record, const KillTrainers& action) {
  if (!record.generation->killed_at) record.generation->killed_at = now.steady;
  for (const int rank : action.ranks) {
    Member& member = *record.generation->member(rank);
    member.kill_sent = true;
    send_stop(record, member, true);
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

void Engine::apply(Now, JobRecord& record, const CloseGeneration& action) {
  leave_seats(record);
  record.generation->open = false;
  record.generation_unsaved = true;
  record.ledger.end_range();
  if (action.failed) {
    const Evidence& cause = *record.generation->cause();
    record.streak = extend(record.streak, cause.reason, record.best_step);
    record.restart_cause = cause.reason;
  }
  record.mark(JobRecord::Unsaved::kState);
  answer(rendezvous_.close(record.id()));
}

void Engine::send(const std::string& worker_id, v1::CoordinatorMessage message) {
  if (registry_.find(worker_id) != nullptr) outputs_.emplace_back(SendToAgent{worker_id, std::move(message)});
}

void Engine::send_stop(const JobRecord& record, const Member& member, bool kill) {
  v1::GenerationId id;
  id.set_job_id(record.id());
  id.set_generation(record.generation->number);
  send_stop(member.worker_id, id, kill);
}

void Engine::send_stop(const std::string& worker_id, const v1::GenerationId& id, bool kill) {
  v1::CoordinatorMessage message;
  *message.mutable_stop()->mutable_id() = id;
  message.mutable_stop()->set_kill(kill);
  message.mutable_stop()->mutable_order()->set_checkpoint(!kill);
  send(worker_id, std::move(message));
}

void Engine::answer(std::vector<ExchangeAnswer> answers) {
  for (ExchangeAnswer& one : answers) outputs_.emplace_back(std::move(one));
}

}  // namespace mdgen::coordinator
