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
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_FAILED},
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
    {v1::JOB_STATE_PAUSED, v1::JOB_STATE_FAILED},
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
    {v1::JOB_STATE_CANCELLING, v1::JOB_STATE_FAILED},
};

constexpr v1::JobState kAlive[] = {
    v1::JOB_STATE_VALIDATING, v1::JOB_STATE_QUEUED,     v1::JOB_STATE_STARTING,
    v1::JOB_STATE_RUNNING,    v1::JOB_STATE_RECOVERING, v1::JOB_STATE_CHECKPOINTING,
    v1::JOB_STATE_PAUSING,    v1::JOB_STATE_PAUSED,     v1::JOB_STATE_CANCELLING};
constexpr v1::JobState kChangeable[] = {
    v1::JOB_STATE_VALIDATING, v1::JOB_STATE_QUEUED,        v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING,
    v1::JOB_STATE_RECOVERING, v1::JOB_STATE_CHECKPOINTING, v1::JOB_STATE_PAUSING,  v1::JOB_STATE_PAUSED};
constexpr v1::JobState kPausable[] = {v1::JOB_STATE_QUEUED, v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING,
                                      v1::JOB_STATE_RECOVERING, v1::JOB_STATE_PAUSING};
constexpr v1::JobState kPaused[] = {v1::JOB_STATE_PAUSED};
constexpr v1::JobState kUnsuccessful[] = {v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED};
constexpr v1::JobState kEnded[] = {v1::JOB_STATE_SUCCEEDED, v1::JOB_STATE_FAILED, v1::JOB_STATE_CANCELLED};
constexpr v1::JobState kWithTrainers[] = {v1::JOB_STATE_STARTING, v1::JOB_STATE_RUNNING,
                                          v1::JOB_STATE_RECOVERING, v1::JOB_STATE_CHECKPOINTING,
                                          v1::JOB_STATE_PAUSING};

constexpr RequestRule kRequests[] = {
    {Request::kCancel, "be cancelled", v1::JOB_STATE_CANCELLING, kAlive},
    {Request::kPause, "be paused", v1::JOB_STATE_PAUSED, kPausable},
    {Request::kResume, "be resumed", v1::JOB_STATE_QUEUED, kPaused},
    {Request::kUpdate, "be changed", v1::JOB_STATE_UNSPECIFIED, kChangeable},
    {Request::kRetry, "be retried", v1::JOB_STATE_VALIDATING, kUnsuccessful},
    {Request::kRemove, "be deleted", v1::JOB_STATE_UNSPECIFIED, kEnded},
    {Request::kInject, "be harmed", v1::JOB_STATE_UNSPECIFIED, kWithTrainers},
};

const RequestRule& rule_of(Request request) {
  return *std::find_if(std::begin(kRequests), std::end(kRequests),
                       [&](const RequestRule& rule) { return rule.request == request; });
}

}  // namespace

std::span<const RequestRule> request_rules() { return kRequests; }

bool may_ask(v1::JobState state, Request request) {
  const auto allowed = rule_of(request).allowed;
  return std::find(allowed.begin(), allowed.end(), state) != allowed.end();
}

void check_request(const std::string& job_id, v1::JobState state, Request request) {
  if (may_ask(state, request)) return;
  const RequestRule& rule = rule_of(request);
  std::string states;
  for (const v1::JobState allowed : rule.allowed)
    states += (states.empty() ? "" : allowed == rule.allowed.back() ? " or " : ", ") + state_name(allowed);
  const std::string wanted = rule.wanted == v1::JOB_STATE_UNSPECIFIED
                                 ? std::string()
                                 : " (and become " + state_name(rule.wanted) + ")";
  throw Error(ErrorCode::kFailedPrecondition, "job " + job_id + " is " + state_name(state) + ": it cannot " +
                                                  rule.what + wanted + "; only one that is " + states +
                                                  " can");
}

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
