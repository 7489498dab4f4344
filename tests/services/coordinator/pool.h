// Jobs that run on all of `workers` at step 10, in a world of their own.
#pragma once

#include <string>
#include <vector>

#include "tests/services/coordinator/fake_world.h"

namespace mdgen::coordinator::testing {

struct Pool : World {
  std::string run(const v1::JobSpec& spec) {
    const std::string id = queued(spec);
    started(workers[0]);
    steps(workers[0], 1, 10);
    return id;
  }
  void add(int count) {
    for (int i = 0; i < count; ++i) workers.push_back(agent("i" + std::to_string(workers.size())));
  }
  void all_leave(std::size_t first, std::size_t count, bool checkpointed = false) {
    if (checkpointed) checkpoint(workers[first], 10);
    for (std::size_t i = first; i < first + count; ++i) left_agreed(workers[i], 10, checkpointed);
  }
  void all_end(std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) exit(workers[i], 0);
  }
  const v1::Recovery& recovery(const std::string& id) const {
    return job(id).recoveries(job(id).recoveries_size() - 1);
  }
  std::vector<std::string> workers;
};

}  // namespace mdgen::coordinator::testing
