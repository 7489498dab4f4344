// Engine: what agents say and how long they are silent.
#include <algorithm>
#include <utility>

#include "core/base/identity.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {

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
    if (member == nullptr) {
      send_kill(worker.id, id);
      continue;
    }
    member->connected = true;
    member->last_heard = member->changed_at = now.steady;
    if (record->generation->broken_up) {
      take_back(now, *record, *member);
      continue;
    }
    repeat_order(now, *record, *member);
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
    if (member->lost || member->left) {
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
  worker->beat_number = beat.number();
  if (!worker->busy) return;
  JobRecord* record = live_record(*worker->busy);
  if (record == nullptr) return;
  Member* member = record->generation->member(worker->rank);
  if (member != nullptr && member->worker_id == worker_id) take_beat(now, *record, *member, beat);
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
      if (!member.stop_sent && !member.kill_sent && !member.left)
        fail(now, *record, worker_lost(member, "it left: " + reason));
    }
  }
  disconnect(now, worker_id, "it left: " + reason);
}

void Engine::drain(Now now, const std::string& worker_id, const v1::Draining& draining) {
  Worker* worker = registry_.find(worker_id);
  if (worker == nullptr || worker->draining) return;
  registry_.drain(*worker);
  const auto seats = seats_.find(worker->identity.incarnation());
  if (seats != seats_.end()) {
    for (const auto& [record, rank] : seats->second) {
      record->generation->member(rank)->draining = true;
      record->job.add_warnings("worker " + worker_id + " on " + worker->identity.host() +
                               " leaves: " + draining.reason());
      record->mark(JobRecord::Unsaved::kProgress);
    }
  }
  settle(now);
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

void Engine::forgive(std::chrono::nanoseconds pause) {
  registry_.forgive(pause);
  for (const auto& record : jobs_) {
    if (!record->has_open_generation()) continue;
    for (Member& member : record->generation->members) {
      member.last_heard += pause;
      member.changed_at += pause;
    }
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
  check_hangs(now);
  settle(now);
  rebalance(now);
  settle(now);
}

}  // namespace mdgen::coordinator
