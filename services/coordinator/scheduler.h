// Who gets which workers: a pure function. First in, first out; a job gets at least `min` workers at once or
// none (a gang), and up to `max` of those that are free. A job that waits keeps the free workers that it
// could use from those behind it, unless the pool is too small for it altogether; one that has enough goes on
// with what it has.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/labels.h"

namespace mdgen::coordinator {

struct Want {
  std::string job_id;
  int min = 1;  // 0: it has enough, and goes on with what it gets
  int max = 1;
  int held = 0;    // workers that it has already
  int former = 0;  // and had before
  std::vector<std::string> prefer{};
  std::set<std::string> refused{};  // it cannot use these, by their labels or by what they did before
  int refused_free = 0;             // of those that are connected and do not drain
  int refused_total = 0;
  Labels selector{};  // whose labels they lack, for people
  int priority = 0;
  bool queued = false;  // it has no workers, and goes by its priority

  // Whether the whole pool could serve it.
  bool feasible(int total) const { return min + held <= total - refused_total; }
};

struct Pool {
  std::vector<std::string> free;  // worker ids, in the order of their registration
  int total = 0;                  // connected workers that do not drain, busy ones included
};

struct PoolSize {
  int free = 0;
  int total = 0;
};

// False only when schedule() gives workers to nobody.
bool can_give(const std::vector<Want>& wants, const PoolSize& size);

// Job id -> its workers, in rank order. `wants` stand in the order of the queue.
std::map<std::string, std::vector<std::string>> schedule(const std::vector<Want>& wants, const Pool& pool);

}  // namespace mdgen::coordinator
