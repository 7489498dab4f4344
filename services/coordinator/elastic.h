// How running jobs give and take workers: a pure function. Free workers go to the head of the queue first; a
// job grows only while nothing feasible is queued; for the head, what running jobs have above their minimum
// is reclaimed before anybody is pre-empted; pre-empted are jobs of strictly lower priority, and only if that
// gives the head what it needs.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "services/coordinator/scheduler.h"

namespace mdgen::coordinator {

// A job that has workers.
struct Holding {
  std::string job_id;
  int priority = 0;
  int workers = 0;
  int min = 1;
  int max = 1;
  bool steady = false;  // it trains and nothing is asked of it
  bool rested = false;  // its last change is long enough ago for it to grow
  int gives_back = 0;   // workers that it is about to free
  int useless = 0;      // free workers that it cannot use
  int fits = -1;        // of its workers, those that the head of the queue could use; -1: all
};

struct Grow {
  std::string job_id;
};
struct Shrink {
  std::string job_id;
  int to = 1;
};
struct Preempt {
  std::string job_id;
  std::string for_job;
};
using Change = std::variant<Grow, Shrink, Preempt>;

// `holdings` oldest first; `queue` in its order, with those that recover first.
std::vector<Change> rebalance(const std::vector<Holding>& holdings, const std::vector<Want>& queue,
                              const PoolSize& size);

}  // namespace mdgen::coordinator
