// The one decision: given what a job wants and what is observed, what to do next. A pure function; its
// actions are idempotent per (job, generation), so that deciding again changes nothing.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "services/coordinator/job_record.h"
#include "services/coordinator/options.h"
#include "services/coordinator/seating.h"

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
  std::vector<Seat> seats;  // by rank
};
// Asks for the end at a step boundary; trainers that have left their generation already end at once.
struct StopTrainers {
  std::vector<int> ranks;
  bool checkpoint = true;  // write one before
  bool yield = false;      // do not end, but leave the generation and wait
};
struct KillTrainers {
  std::vector<int> ranks;
  bool all = false;  // it is the end of the generation: their exits are awaited together
};
// After a failure, or when all have left by agreement: exchanges are answered ABORTED, culprits killed, all
// others told to leave. From here on the recovery is timed.
struct BreakUp {};
// They do not end although they were killed: nothing is known of them.
struct LoseMembers {
  std::vector<int> ranks;
};
// All are out: what the failure, if there was one, does to counts and the back-off is settled.
struct Conclude {};
struct RenewLease {};
// The job's deadline has passed: it is to write a checkpoint and to end.
struct Expire {};
// The checkpoint of a pause or pre-emption could not be written: the job goes on.
struct GiveUpPause {};
// The generation is superseded: exchanges are answered ABORTED, its members count no more.
struct CloseGeneration {};

using Action = std::variant<ChangeState, Explain, BuildManifest, Examine, StopExamination, OpenGeneration,
                            StopTrainers, KillTrainers, BreakUp, LoseMembers, Conclude, RenewLease, Expire,
                            GiveUpPause, CloseGeneration>;

// The workers that the scheduler gives this job now, beside those that it has; nothing: none are given.
using Offer = std::optional<std::vector<std::string>>;

std::vector<Action> reconcile(Clock::Steady now, const JobRecord& record, const Offer& offer,
                              const EngineOptions& options);

double timeout_scale(const JobRecord& record);
int world_size(const JobRecord& record);  // of the newest generation; 1 without
// As they are for the newest generation.
Bounds bounds_of(const JobRecord& record);

}  // namespace mdgen::coordinator
