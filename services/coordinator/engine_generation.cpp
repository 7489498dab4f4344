// Engine: generations are opened, their seats taken and left.
#include <algorithm>
#include <utility>

#include "services/coordinator/engine.h"

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

// Survivors without a seat end: what they hold lives on in the others.
void Engine::retire_generation(JobRecord& record, const OpenGeneration& next) {
  Generation& old = *record.generation;
  for (const Member& member : old.members) {
    const bool stays = std::any_of(next.seats.begin(), next.seats.end(), [&](const coordinator::Seat& seat) {
      return seat.worker == member.worker_id;
    });
    if (member.waits() && !stays) send_kill(record, member);
  }
  leave_seats(record);
  old.open = false;
  record.previous.reset();
  if (old.cause() == nullptr) return;
  record.job.set_restarts(record.job.restarts() + 1);
  telemetry().restarted(record.job, record.restart_cause);
  record.previous = std::move(old);
}

Member Engine::new_member(JobRecord& record, const coordinator::Seat& seat, int rank, Now now) {
  const Worker& worker = *registry_.find(seat.worker);
  Member member;
  member.rank = rank;
  const Member* before = seat.stays ? record.generation->member(rank) : nullptr;
  member.attempt = before != nullptr ? before->attempt : record.earlier_attempts + ++record.attempts[rank];
  member.worker_id = seat.worker;
  member.incarnation = worker.identity.incarnation();
  member.host = worker.identity.host();
  member.device = worker.identity.device();
  member.draining = worker.draining;
  member.last_heard = member.changed_at = now.steady;
  return member;
}

void Engine::apply(Now now, JobRecord& record, const OpenGeneration& action) {
  Generation next;
  std::unordered_map<std::string, int> on_machine;
  for (const coordinator::Seat& seat : action.seats) {
    next.members.push_back(new_member(record, seat, static_cast<int>(next.members.size()), now));
    ++on_machine[registry_.find(seat.worker)->identity.boot_id()];
  }
  const bool recovers = record.has_open_generation();
  if (recovers) retire_generation(record, action);
  next.number = ++record.last_generation;
  next.lease_granted = next.opened_at = now.steady;
  record.job.set_generation(next.number);
  record.job.set_workers(static_cast<int>(next.members.size()));
  record.generation = std::move(next);
  record.generation_unsaved = true;
  record.retry_at.reset();
  record.cap.reset();
  record.resized_at = now.steady;
  record.run.new_generation();
  if (recovers) next_opened(record.job, record.recovery, now.steady, record.job.workers());
  take_seats(record);
  answer(rendezvous_.open(record.id(), record.generation->number, record.job.workers()));
  for (const Member& member : record.generation->members) {
    Worker& worker = *registry_.find(member.worker_id);
    registry_.occupy(worker, record.generation_id(), member.rank);
    v1::CoordinatorMessage message;
    *message.mutable_start() = assignment(record, member, on_machine.at(worker.identity.boot_id()));
    send(member.worker_id, std::move(message));
  }
}

v1::Assignment Engine::assignment(const JobRecord& record, const Member& member, int neighbours) const {
  const Worker& worker = *registry_.find(member.worker_id);
  const int share = std::max(1, worker.identity.cpus() / neighbours);
  const int fixed = record.job.spec().threads_per_worker();

  v1::Assignment assignment;
  *assignment.mutable_id() = record.generation_id();
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

}  // namespace mdgen::coordinator
