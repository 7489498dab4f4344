#include "services/coordinator/job_state.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"

namespace mdgen::coordinator {
namespace {

constexpr StateEdge kEdges[] = {
    {v1::JOB_STATE_UNSPECIFIED, v1::JOB_STATE_VALIDATING},
    {v1::JOB_STATE_VALIDATING, v1::JOB_STATE_QUEUED},
    {v1::JOB_STATE_VALIDATING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_VALIDATING, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING},
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_PAUSED},
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING},
    {v1::JOB_STATE_STARTING, v1::JOB_STATE_RECOVERING},
    {v1::JOB_STATE_STARTING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_STARTING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_RECOVERING},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_CHECKPOINTING},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_PAUSING},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_SUCCEEDED},
    {v1::JOB_STATE_RUNNING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_CHECKPOINTING, v1::JOB_STATE_QUEUED},
    {v1::JOB_STATE_CHECKPOINTING, v1::JOB_STATE_RECOVERING},
    {v1::JOB_STATE_CHECKPOINTING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_CHECKPOINTING, v1::JOB_STATE_SUCCEEDED},
    {v1::JOB_STATE_CHECKPOINTING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_PAUSING, v1::JOB_STATE_PAUSED},
    {v1::JOB_STATE_PAUSING, v1::JOB_STATE_RECOVERING},
    {v1::JOB_STATE_PAUSING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_PAUSING, v1::JOB_STATE_SUCCEEDED},
    {v1::JOB_STATE_PAUSING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_QUEUED},
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_STARTING},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_QUEUED},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_CHECKPOINTING},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_PAUSING},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_FAILED},
    {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_CANCELLING, v1::JOB_STATE_CANCELLED},
    {v1::JOB_STATE_CANCELLING, v1::JOB_STATE_SUCCEEDED},
};

}  // namespace

std::span<const StateEdge> state_edges() { return kEdges; }

bool can_follow(v1::JobState from, v1::JobState to) {
  return std::any_of(std::begin(kEdges), std::end(kEdges),
                     [&](const StateEdge& edge) { return edge.from == from && edge.to == to; });
}

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

std::string state_name(v1::JobState state) {
  static constexpr std::string_view kPrefix = "JOB_STATE_";
  const std::string& name = v1::JobState_Name(state);
  return name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
}

void check_transition(const std::string& job_id, v1::JobState from, v1::JobState to) {
  if (can_follow(from, to)) return;
  throw Error(ErrorCode::kFailedPrecondition,
              "job " + job_id + " is " + state_name(from) + ": it cannot become " + state_name(to));
}

}  // namespace mdgen::coordinator
