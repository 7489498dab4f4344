// The agents that are here: who holds which slot, who still beats, who is free. No clock of its own, no I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/worker_service.pb.h"
#include "services/coordinator/scheduler.h"

namespace mdgen::coordinator {

struct Worker {
  std::string id;
  v1::Register identity;
  std::int64_t order = 0;  // of registration
  Clock::Wall connected_at{};
  Clock::Steady last_beat{};
  std::int64_t beat_number = 0;  // of the last beat, as its agent counts them
  // The trainer that it was given and whose end it has not yet confirmed, and that one's rank.
  std::optional<v1::GenerationId> busy;
  int rank = -1;
  // The data set that it was given to examine, until it says that it has ended.
  struct Examining {
    std::string job_id;
    std::int64_t attempt = 0;
  };
  std::optional<Examining> examining;
  bool draining = false;  // it will leave, and gets no more work
};

// FREE, BUSY, EXAMINING or DRAINING, as the pool and the metrics say.
const char* state_name(const Worker& worker);

// No call but all(), silent(), forgive() and pool() grows with the number of workers.
class WorkerRegistry {
 public:
  // Adds an agent under `id`, free. Throws Error(kAlreadyExists) naming the holder when another live agent
  // claims the same GPU of the same machine (CPU slots are unlimited), Error(kInvalidArgument) for an empty
  // identity.
  Worker& add(const std::string& id, const v1::Register& identity, Clock::Steady now);
  void remove(const std::string& id);

  Worker* find(const std::string& id);
  const Worker* find(const std::string& id) const;
  const Worker* by_incarnation(const std::string& incarnation) const;
  std::vector<const Worker*> all() const;  // in the order of registration

  void occupy(Worker& worker, const v1::GenerationId& id, int rank);
  void release(Worker& worker);
  void give_examination(Worker& worker, const std::string& job_id, std::int64_t attempt);
  void end_examination(Worker& worker);
  void drain(Worker& worker);

  // `pause` was ours: it counts as nobody's silence.
  void forgive(Clock::Steady now, std::chrono::nanoseconds pause);
  // Ids of those whose last beat is older than `limit`.
  std::vector<std::string> silent(Clock::Steady now, std::chrono::milliseconds limit) const;
  PoolSize size() const {
    return {static_cast<int>(free_.size()), static_cast<int>(workers_.size()) - draining_};
  }
  bool is_free(const std::string& id) const {
    const Worker* worker = find(id);
    return worker != nullptr && free_.contains(worker->order);
  }
  Pool pool() const;

 private:
  std::map<std::string, Worker> workers_;
  std::unordered_map<std::string, std::string> by_incarnation_;  // ids, as below
  std::unordered_map<std::string, std::string> by_slot_;         // GPUs
  std::map<std::int64_t, std::string> free_;                     // by the order of registration
  void free_if_idle(const Worker& worker);

  std::int64_t next_order_ = 0;
  int draining_ = 0;
};

}  // namespace mdgen::coordinator
