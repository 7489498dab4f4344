// The one decision: given what a job wants and what is observed, what to do next. A pure function; its
// actions are idempotent per (job, generation), so that deciding again changes nothing.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "services/coordinator/job_record.h"
#include "services/coordinator/options.h"

namespace mdgen::coordinator {

struct ChangeState {
  v1::JobState state;
  std::string reason;
  std::string message;
};
struct Explain {  // the same state, another reason or message
  std::string reason;
  std::string message;
};
struct BuildManifest {};
struct Examine {  // the data set is examined by this worker
  std::string worker;
};
struct StopExamination {};
struct OpenGeneration {
  std::vector<std::string> workers;  // by rank
};
struct StopTrainers {  // asks for the end at a step boundary, after a checkpoint
  std::vector<int> ranks;
};
struct KillTrainers {
  std::vector<int> ranks;
};
struct RenewLease {};
// The generation is superseded: exchanges are answered ABORTED, its members count no more.
struct CloseGeneration {
  bool failed = false;  // it counts as a restart's cause
};

using Action = std::variant<ChangeState, Explain, BuildManifest, Examine, StopExamination, OpenGeneration,
                            StopTrainers, KillTrainers, RenewLease, CloseGeneration>;

// `offer`: the workers that the scheduler gives this job now, or none.
std::vector<Action> reconcile(Clock::Steady now, const JobRecord& record,
                              const std::vector<std::string>& offer, const EngineOptions& options);

// How a failure changes the streak.
FailureStreak extend(const FailureStreak& streak, const std::string& reason, std::int64_t best_step);

}  // namespace mdgen::coordinator
