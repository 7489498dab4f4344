// Which finished jobs are forgotten: a pure function.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/base/clock.h"

namespace mdgen::coordinator {

struct Retention {
  int keep_jobs = 1000;            // of those that have ended
  std::chrono::hours keep_for{0};  // after their end; 0: for ever
};

struct EndedJob {
  std::string id;
  Clock::Wall ended{};
  bool awaited = false;  // a job that has not ended waits for it
};

struct Forgotten {
  std::string id;
  std::string why;  // "it ended more than 30 days ago"
};

// In any order; the result is the oldest first. What is awaited stays, and counts.
std::vector<Forgotten> to_forget(std::vector<EndedJob> ended, const Retention& retention, Clock::Wall now);

}  // namespace mdgen::coordinator
