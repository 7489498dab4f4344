#include "services/coordinator/worker_registry.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"

namespace mdgen::coordinator {

namespace {

// A GPU of a machine; nothing for CPU slots, which are unlimited.
std::string slot(const v1::Register& identity) {
  return identity.device() == "cpu" ? std::string() : identity.boot_id() + '\n' + identity.device();
}

}  // namespace

const char* state_name(const Worker& worker) {
  if (worker.draining) return "DRAINING";
  if (worker.busy) return "BUSY";
  return worker.examining ? "EXAMINING" : "FREE";
}

Worker& WorkerRegistry::add(const std::string& id, const v1::Register& identity, Clock::Steady now) {
  if (identity.incarnation().empty() || identity.boot_id().empty() || identity.device().empty())
    throw Error(ErrorCode::kInvalidArgument, "register: incarnation, boot_id and device are required");
  if (const auto holder = by_slot_.find(slot(identity)); holder != by_slot_.end()) {
    const Worker& other = workers_.at(holder->second);
    if (other.identity.incarnation() != identity.incarnation())
      throw Error(ErrorCode::kAlreadyExists, identity.device() + " of " + identity.host() +
                                                 " is held by worker " + other.id + " (host " +
                                                 other.identity.host() + ", process " +
                                                 std::to_string(other.identity.pid()) + ")");
  }
  remove(id);
  Worker& worker = workers_[id];
  worker.id = id;
  worker.identity = identity;
  worker.order = next_order_++;
  worker.last_beat = now;
  by_incarnation_[identity.incarnation()] = id;
  if (const std::string held = slot(identity); !held.empty()) by_slot_[held] = id;
  free_[worker.order] = id;
  return worker;
}

void WorkerRegistry::remove(const std::string& id) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  const Worker& worker = found->second;
  by_incarnation_.erase(worker.identity.incarnation());
  by_slot_.erase(slot(worker.identity));
  free_.erase(worker.order);
  if (worker.draining) --draining_;
  workers_.erase(found);
}

void WorkerRegistry::occupy(Worker& worker, const v1::GenerationId& id, int rank) {
  worker.busy = id;
  worker.rank = rank;
  free_.erase(worker.order);
}

void WorkerRegistry::release(Worker& worker) {
  worker.busy.reset();
  worker.rank = -1;
  free_if_idle(worker);
}

void WorkerRegistry::give_examination(Worker& worker, const std::string& job_id, std::int64_t attempt) {
  worker.examining = Worker::Examining{job_id, attempt};
  free_.erase(worker.order);
}

void WorkerRegistry::end_examination(Worker& worker) {
  worker.examining.reset();
  free_if_idle(worker);
}

void WorkerRegistry::drain(Worker& worker) {
  if (std::exchange(worker.draining, true)) return;
  ++draining_;
  free_.erase(worker.order);
}

void WorkerRegistry::free_if_idle(const Worker& worker) {
  if (!worker.busy && !worker.examining && !worker.draining) free_[worker.order] = worker.id;
}

Worker* WorkerRegistry::find(const std::string& id) {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

const Worker* WorkerRegistry::find(const std::string& id) const {
  return const_cast<WorkerRegistry*>(this)->find(id);
}

const Worker* WorkerRegistry::by_incarnation(const std::string& incarnation) const {
  const auto found = by_incarnation_.find(incarnation);
  return found == by_incarnation_.end() ? nullptr : &workers_.at(found->second);
}

std::vector<const Worker*> WorkerRegistry::all() const {
  std::vector<const Worker*> list;
  for (const auto& [id, worker] : workers_) list.push_back(&worker);
  std::sort(list.begin(), list.end(), [](const Worker* a, const Worker* b) { return a->order < b->order; });
  return list;
}

void WorkerRegistry::forgive(Clock::Steady now, std::chrono::nanoseconds pause) {
  for (auto& [id, worker] : workers_) worker.last_beat = std::min(now, worker.last_beat + pause);
}

std::vector<std::string> WorkerRegistry::silent(Clock::Steady now, std::chrono::milliseconds limit) const {
  std::vector<std::string> ids;
  for (const auto& [id, worker] : workers_)
    if (now - worker.last_beat >= limit) ids.push_back(id);
  return ids;
}

Pool WorkerRegistry::pool() const {
  Pool pool;
  pool.total = size().total;
  for (const auto& [order, id] : free_) pool.free.push_back(id);
  return pool;
}

}  // namespace mdgen::coordinator
