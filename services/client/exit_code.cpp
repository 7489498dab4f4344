#include "services/client/exit_code.h"

#include <string>

namespace mdgen::client {

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_FAILED ||
         state == v1::JOB_STATE_CANCELLED;
}

ExitCode exit_of_state(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_SUCCEEDED:
      return kExitOk;
    case v1::JOB_STATE_FAILED:
      return kExitFailed;
    case v1::JOB_STATE_CANCELLED:
      return kExitCancelled;
    default:
      throw Error(ErrorCode::kInternal, "the job's state is not final: " + v1::JobState_Name(state));
  }
}

ExitCode exit_of_refusal(ErrorCode code, bool following) {
  if (code == ErrorCode::kUnavailable) return kExitLost;
  const bool is_ours = code == ErrorCode::kInternal || code == ErrorCode::kDataLoss;
  return following && !is_ours ? kExitUsage : kExitFailed;
}

}  // namespace mdgen::client
