#include "services/coordinator/worker_registry.h"

#include <algorithm>

#include "core/base/error.h"

namespace mdgen::coordinator {

Worker& WorkerRegistry::add(const std::string& id, const v1::Register& identity, Clock::Steady now) {
  if (identity.incarnation().empty() || identity.boot_id().empty() || identity.device().empty())
    throw Error(ErrorCode::kInvalidArgument, "register: incarnation, boot_id and device are required");
  for (const auto& [other, worker] : workers_) {
    if (identity.device() == "cpu" || worker.identity.incarnation() == identity.incarnation()) continue;
    if (worker.identity.boot_id() != identity.boot_id() || worker.identity.device() != identity.device())
      continue;
    throw Error(ErrorCode::kAlreadyExists,
                identity.device() + " of " + identity.host() + " is held by worker " + other + " (host " +
                    worker.identity.host() + ", process " + std::to_string(worker.identity.pid()) + ")");
  }
  Worker& worker = workers_[id];
  worker.id = id;
  worker.identity = identity;
  worker.order = next_order_++;
  worker.last_beat = now;
  return worker;
}

void WorkerRegistry::remove(const std::string& id) { workers_.erase(id); }

Worker* WorkerRegistry::find(const std::string& id) {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

const Worker* WorkerRegistry::find(const std::string& id) const {
  return const_cast<WorkerRegistry*>(this)->find(id);
}

const Worker* WorkerRegistry::by_incarnation(const std::string& incarnation) const {
  for (const auto& [id, worker] : workers_)
    if (worker.identity.incarnation() == incarnation) return &worker;
  return nullptr;
}

std::vector<const Worker*> WorkerRegistry::all() const {
  std::vector<const Worker*> list;
  for (const auto& [id, worker] : workers_) list.push_back(&worker);
  std::sort(list.begin(), list.end(), [](const Worker* a, const Worker* b) { return a->order < b->order; });
  return list;
}

void WorkerRegistry::forgive(std::chrono::nanoseconds pause) {
  for (auto& [id, worker] : workers_) worker.last_beat += pause;
}

std::vector<std::string> WorkerRegistry::silent(Clock::Steady now, std::chrono::milliseconds limit) const {
  std::vector<std::string> ids;
  for (const auto& [id, worker] : workers_)
    if (now - worker.last_beat >= limit) ids.push_back(id);
  return ids;
}

Pool WorkerRegistry::pool() const {
  Pool pool;
  pool.total = static_cast<int>(workers_.size());
  for (const Worker* worker : all())
    if (!worker->busy && !worker->examining) pool.free.push_back(worker->id);
  return pool;
}

}  // namespace mdgen::coordinator
