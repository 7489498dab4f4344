// Internal to reconcile(): the parts of the decision, and what they share.
#pragma once

#include <string>
#include <vector>

#include "services/coordinator/reconcile.h"

namespace mdgen::coordinator::decide {

using Actions = std::vector<Action>;

template <typename Predicate>
std::vector<int> ranks_where(const Generation& generation, Predicate&& predicate) {
  std::vector<int> ranks;
  for (const Member& member : generation.members)
    if (!member.over() && predicate(member)) ranks.push_back(member.rank);
  return ranks;
}

// Once: it reaches everybody who is not over.
void kill_rest(const Generation& generation, Actions& actions);
// All ends are known, or were waited for long enough.
bool ended(Clock::Steady now, const Generation& generation, const EngineOptions& options);
// No member can apply another step: a collective needs everyone, so one confirmed end or leaving will do;
// without any, the lease decides.
bool fenced(Clock::Steady now, const Generation& generation, const EngineOptions& options);
// "at step 7 of 10, checkpoint at step 5"
std::string at_step(const JobRecord& record);
void renew_lease(Clock::Steady now, const Generation& generation, const EngineOptions& options,
                 Actions& actions);
void fail(const std::string& reason, const std::string& message, Actions& actions);

// --- reconcile_recovery.cpp ---
// Who does not leave in time is killed, who does not end then is lost. True when it had to do something.
bool chase(Clock::Steady now, const JobRecord& record, const EngineOptions& options, Actions& actions);
void reconcile_failed(Clock::Steady now, const JobRecord& record, const Offer& offer,
                      const EngineOptions& options, Actions& actions);
// RECOVERING after a change of the workers on which all members had agreed.
void reconcile_changed(Clock::Steady now, const JobRecord& record, const Offer& offer,
                       const EngineOptions& options, Actions& actions);

// --- reconcile_ending.cpp ---
void finish_completed(const JobRecord& record, Actions& actions);
// What a job that is to end becomes, after a cancel or at its deadline.
ChangeState end_of(const JobRecord& record, const std::string& message);
void begin_cancel(const JobRecord& record, Actions& actions);
void reconcile_cancelling(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                          Actions& actions);
// PAUSING, and CHECKPOINTING on the way back into the queue.
void reconcile_leaving(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                       Actions& actions);
// Everybody is out and the job goes on later, or not at all: the one that holds the newest state writes a
// checkpoint of it unless there is one, then all end, then the state is `goal`.
void let_go(Clock::Steady now, const JobRecord& record, const EngineOptions& options, const ChangeState& goal,
            Actions& actions);

}  // namespace mdgen::coordinator::decide
