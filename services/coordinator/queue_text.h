// Why jobs wait for workers, for people: pure functions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "services/coordinator/scheduler.h"

namespace mdgen::coordinator {

struct Waiting {
  std::string job_id;
  int position = 0;     // in the order in which they get workers, from 1; 0: not before the pool changes
  std::string reason;   // WaitingForWorkers, BehindOthers, Unsatisfiable
  std::string message;  // a sentence without its subject
};

struct PoolFacts {
  PoolSize size;
  // Workers that are connected, do not drain and have these labels.
  std::function<int(const Labels&)> having = [](const Labels&) { return 0; };
  // What people call a job.
  std::function<std::string(const std::string& job_id)> who = [](const std::string& id) { return id; };
};

// Those of `wants`, which stand in the order of the queue, that need workers before they can go on.
std::vector<Waiting> explain_queue(const std::vector<Want>& wants, const PoolFacts& facts);

}  // namespace mdgen::coordinator
