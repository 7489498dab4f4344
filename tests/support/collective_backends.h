// The backends that run everywhere, for tests with one thread a rank: local, gloo, and nccl, which is the
// logic above NCCL on an NCCL of threads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <string>
#include <vector>

#include "core/comm/collective.h"
#include "core/comm/gloo/gloo_collective.h"
#include "core/comm/local/local_group.h"
#include "core/comm/nccl/nccl_collective.h"
#include "tests/support/ranks.h"
#include "tests/support/stream_nccl.h"

namespace mdgen::testing {

struct Backend {
  std::string name;
  int world_size;
};

inline std::string name_of(const Backend& backend) {
  return backend.name + std::to_string(backend.world_size);
}

inline std::ostream& operator<<(std::ostream& out, const Backend& backend) { return out << name_of(backend); }

// Tells the other ranks when one fails, as the coordinator does: not every rank sees a lost peer by itself.
class Watch {
 public:
  void add(int rank, comm::Collective* collective) {
    const std::lock_guard lock(mutex_);
    members_[rank] = collective;
  }
  void remove(int rank) {
    const std::lock_guard lock(mutex_);
    members_.erase(rank);
  }
  void failed(int rank) {
    const std::lock_guard lock(mutex_);
    for (const auto& [other, collective] : members_) {
      if (other != rank) collective->abort("rank " + std::to_string(rank) + " failed");
    }
  }

 private:
  std::mutex mutex_;
  std::map<int, comm::Collective*> members_;
};

// Forms a group and runs `body` on every rank's thread; returns what each threw. The first failure aborts the
// others.
inline std::vector<std::exception_ptr> run_group(
    const Backend& backend, const std::function<void(comm::Collective&)>& body,
    std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
  MemoryExchange exchange(backend.world_size);
  Watch watch;
  std::vector<std::unique_ptr<comm::Collective>> group;
  if (backend.name != "gloo") group = comm::make_local_group(backend.world_size);
  return run_ranks(backend.world_size, [&](int rank) {
    std::unique_ptr<comm::Collective> mine;
    if (backend.name == "local") {
      mine = std::move(group[static_cast<std::size_t>(rank)]);
    } else {
      comm::CollectiveOptions options;
      options.rank = rank;
      options.world_size = backend.world_size;
      options.timeout = timeout;
      if (backend.name == "gloo") {
        mine = comm::make_gloo(options, exchange.for_rank(rank));
      } else {
        mine = comm::make_nccl_collective(
            std::make_shared<StreamNccl>(std::move(group[static_cast<std::size_t>(rank)])), options,
            exchange.for_rank(rank));
      }
    }
    watch.add(rank, mine.get());
    try {
      body(*mine);
    } catch (...) {
      watch.remove(rank);
      watch.failed(rank);
      throw;
    }
    watch.remove(rank);
  });
}

inline void run_group_or_throw(const Backend& backend, const std::function<void(comm::Collective&)>& body) {
  for (const std::exception_ptr& error : run_group(backend, body)) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace mdgen::testing
