// When a failed generation is followed by another, and when a job is given up: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "mdgen/v1/job_spec.pb.h"
#include "services/coordinator/generation.h"

namespace mdgen::coordinator {

// What recovery.restart_on calls a failure; empty for a trainer's own errors, which a restart cannot mend.
std::string restart_kind(const Evidence& cause);

// Failures in a row without progress.
struct FailureStreak {
  std::int64_t best_step = 0;  // the highest step reached before the last
  int failures = 0;
};
// How a failure changes the streak: progress since the last one begins it again.
FailureStreak extend(const FailureStreak& streak, std::int64_t best_step);

// The step that ended trainers' processes last, and how often in a row.
struct PoisonWatch {
  std::int64_t step = -1;  // counted from 0, as the plan does
  int times = 0;
};
// A failure while step `step` was computed. What says nothing of the step (a lost worker, the network, an
// injected fault, a generation that never began) leaves the count alone.
PoisonWatch extend(const PoisonWatch& watch, const Generation& generation);

// Before the next generation opens: nothing after a failure with progress, else 1, 2, 4, … x
// recovery.backoff_seconds, at most 60 s.
std::chrono::milliseconds backoff(const FailureStreak& streak, const v1::RecoverySpec& spec);

struct Verdict {
  std::string reason;
  std::string message;
};
// Why there is no restart because of the cause itself; nothing when a restart can mend it.
std::optional<Verdict> not_restartable(const Evidence& cause, const v1::RecoverySpec& spec);
// Why there is none because of what came before. `restarts`: those that have been; `samples`: of the poison
// step, for people.
std::optional<Verdict> exhausted(const Evidence& cause, const v1::RecoverySpec& spec, int restarts,
                                 const FailureStreak& streak, int most_without_progress,
                                 const PoisonWatch& poison, const std::string& samples);

}  // namespace mdgen::coordinator
