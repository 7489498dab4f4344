// Engine: what agents say and how long they are silent.
#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/identity.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

// Never into the future: it may have been noted during the pause.
void shift(Clock::Steady& at, Now now, std::chrono::nanoseconds pause) {
  at = std::min(now.steady, at + pause);
}

}  // namespace

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
  worker.connected_at = now.wall;
  v1::CoordinatorMessage message;
  message.mutable_welcome()->set_worker_id(id);
  message.mutable_welcome()->set_epoch(epoch_);
  send(id, std::move(message));
  if (dismissal_) dismiss(id);
  send_drain(worker);
  adopt(now, worker);
  settle(now);
  return id;
}

void Engine::adopt(Now now, const Worker& known) {
  Worker& worker = *registry_.find(known.id);
  for (const v1::GenerationId& id : worker.identity.running()) {
    if (assign_again(now, worker, id)) continue;
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
    const bool runs = worker.busy && worker.busy->job_id() == record->id() &&
                      worker.busy->generation() == record->generation->number;
    member->connected = true;
    if (runs) continue;
    if (member->lost || member->left) {
      member->gone = true;
    } else if (!member->missing_since) {
      member->missing_since = now.steady;
    }
  }
}

// Its trainer waits since an earlier generation: of its seat in the open one the agent has not heard.
bool Engine::assign_again(Now now, Worker& worker, const v1::GenerationId& held) {
  const auto found = by_id_.find(held.job_id());
  if (found == by_id_.end() || !found->second->has_open_generation()) return false;
  JobRecord& record = *found->second;
  const Generation& generation = *record.generation;
  Member* member = seat_in(record, worker.identity.incarnation());
  if (member == nullptr || held.generation() >= generation.number || member->gone || member->left ||
      member->kill_sent)
    return false;
  registry_.occupy(worker, record.generation_id(), member->rank);
  member->connected = true;
  member->last_heard = member->changed_at = now.steady;
  const auto neighbours = std::count_if(generation.members.begin(), generation.members.end(),
                                        [&](const Member& other) { return other.host == member->host; });
  v1::CoordinatorMessage message;
  *message.mutable_start() = assignment(record, *member, static_cast<int>(neighbours));
  send(worker.id, std::move(message));
  if (generation.broken_up) {
    take_back(now, record, *member);
  } else {
    repeat_order(now, record, *member);
  }
  return true;
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
      warn(now, *record,
           "worker " + worker_id + " on " + worker->identity.host() + " leaves: " + draining.reason());
    }
  }
  settle(now);
}

const Worker& Engine::order_drain(Now now, const std::string& worker_id, const std::string& actor) {
  const Worker* worker = registry_.find(worker_id);
  if (worker == nullptr) throw Error(ErrorCode::kNotFound, "there is no worker " + worker_id);
  if (worker->draining) return *worker;
  const std::string reason = actor.empty() ? "it is drained" : "it is drained by " + actor;
  drains_[worker->identity.incarnation()] = reason;
  send_drain(*worker);
  v1::Draining draining;
  draining.set_reason(reason);
  drain(now, worker_id, draining);
  return *worker;
}

// Again, when its connection was lost meanwhile.
void Engine::send_drain(const Worker& worker) {
  const auto reason = drains_.find(worker.identity.incarnation());
  if (reason == drains_.end()) return;
  v1::CoordinatorMessage message;
  message.mutable_drain()->set_reason(reason->second);
  send(worker.id, std::move(message));
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

void Engine::wake(Now now) {
  const auto since = now.steady - std::exchange(awake_at_, now.steady);
  if (since > options_.own_pause) {
    forgive(now, since);
  } else if (store_fails_) {
    forgive_orders(now, since);
  }
}

void Engine::stalled(Now now, std::chrono::nanoseconds pause) {
  forgive(now, pause);
  shift(awake_at_, now, pause);
}

void Engine::forgive(Now now, std::chrono::nanoseconds pause) {
  registry_.forgive(now.steady, pause);
  if (now.steady - pause < reconnect_until_) reconnect_until_ += pause;
  for (const auto& record : jobs_) {
    if (!record->has_open_generation()) continue;
    for (Member& member : record->generation->members) {
      shift(member.last_heard, now, pause);
      shift(member.changed_at, now, pause);
      if (member.missing_since) shift(*member.missing_since, now, pause);
    }
  }
  forgive_orders(now, pause);
}

// They are timed from when they can be given.
void Engine::forgive_orders(Now now, std::chrono::nanoseconds pause) {
  for (const auto& record : jobs_) {
    if (record->desired.deadline) *record->desired.deadline += pause;
    if (record->previous && record->previous->failed_at) shift(*record->previous->failed_at, now, pause);
    if (!record->has_open_generation()) continue;
    Generation& generation = *record->generation;
    if (generation.failed_at) shift(*generation.failed_at, now, pause);
    if (generation.killed_at) shift(*generation.killed_at, now, pause);
    if (generation.leave_by) *generation.leave_by += pause;
    for (Member& member : generation.members) shift(member.asked_at, now, pause);
  }
}

void Engine::tick(Now now) {
  wake(now);
  for (const std::string& id : registry_.silent(now.steady, options_.worker_lost_after)) {
    outputs_.emplace_back(DropAgent{id, "no beat"});
    disconnect(
        now, id,
        "no beat for " + std::to_string(options_.worker_lost_after.count() / 1000.0).substr(0, 4) + " s");
  }
  check_silence(now);
  check_hangs(now);
  watch_progress(now);
  settle(now);
  rebalance(now);
  settle(now);
  forget_old(now);
}

}  // namespace mdgen::coordinator
