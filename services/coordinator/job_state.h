// The states of a job and which may follow which: one table.
#pragma once

#include <span>
#include <string>

#include "mdgen/v1/job.pb.h"

namespace mdgen::coordinator {

struct StateEdge {
  v1::JobState from;
  v1::JobState to;
};

// Every legal transition.
std::span<const StateEdge> state_edges();

bool can_follow(v1::JobState from, v1::JobState to);
bool is_final(v1::JobState state);

// Without the enum's prefix: "RUNNING".
std::string state_name(v1::JobState state);

// Throws Error(kFailedPrecondition) that names the job and both states.
void check_transition(const std::string& job_id, v1::JobState from, v1::JobState to);

}  // namespace mdgen::coordinator
