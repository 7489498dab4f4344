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

// What clients ask of a job, beside looking at it.
enum class Request { kCancel, kPause, kResume, kUpdate, kRetry, kRemove, kInject };

// In which states each is allowed, and what it leads to: the other table.
struct RequestRule {
  Request request;
  const char* what;     // "be paused"
  v1::JobState wanted;  // UNSPECIFIED: it stays what it is
  std::span<const v1::JobState> allowed;
};
std::span<const RequestRule> request_rules();

bool may_ask(v1::JobState state, Request request);
// Throws Error(kFailedPrecondition) that names the job, its state, the one that was wanted and those in which
// it may be asked for.
void check_request(const std::string& job_id, v1::JobState state, Request request);

}  // namespace mdgen::coordinator
