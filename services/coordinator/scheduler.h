// Who gets which workers: a pure function. First in, first out; a job gets at least `min` workers at once or
// none (a gang), and up to `max` of those that are free. A job that waits for workers holds back those behind
// it, unless the pool is too small for it altogether; one that has enough goes on with what it has.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mdgen::coordinator {

struct Want {
  std::string job_id;
  int min = 1;  // 0: it has enough, and goes on with what it gets
  int max = 1;
  int held = 0;    // workers that it has already
  int former = 0;  // and had before
  std::vector<std::string> prefer{};
  std::vector<std::string> refused{};  // it does not take these
  int priority = 0;
  bool queued = false;  // it has no workers, and goes by its priority

  // Whether the whole pool could serve it.
  bool feasible(int total) const { return min + held <= total; }
};

struct Pool {
  std::vector<std::string> free;  // worker ids, in the order of their registration
  int total = 0;                  // connected workers that do not drain, busy ones included
};

struct PoolSize {
  int free = 0;
  int total = 0;
};

// Whether schedule() gives workers to anybody.
bool can_give(const std::vector<Want>& wants, const PoolSize& size);

// Job id -> its workers, in rank order. `wants` stand in the order of the queue.
std::map<std::string, std::vector<std::string>> schedule(const std::vector<Want>& wants, const Pool& pool);

// Why a job waits, for people.
std::string waiting_reason(const Want& want, const PoolSize& size);
std::string waiting_message(const Want& want, const PoolSize& size);

}  // namespace mdgen::coordinator
