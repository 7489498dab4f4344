// What mdgenctl's exit status says. Scripts rely on the numbers.
#pragma once

#include "core/base/error.h"
#include "mdgen/v1/job.pb.h"

namespace mdgen::client {

enum ExitCode : int {
  kExitOk = 0,         // done; a followed job SUCCEEDED
  kExitFailed = 1,     // the server refused; a followed job FAILED
  kExitUsage = 2,      // the command line or the spec is wrong
  kExitCancelled = 3,  // a followed job was CANCELLED
  kExitLost = 4,       // no connection: says nothing about the job
  kExitComeAgain = 75  // a followed job yielded and is to be started again (EX_TEMPFAIL)
};

bool is_final(v1::JobState state);

// Of a followed job; its state is final.
ExitCode exit_of_state(v1::JobState state);

// Of an error that the server answered with. `following`: submit --follow and watch, where 1 is the job's own
// failure, so that a refusal counts as usage.
ExitCode exit_of_refusal(ErrorCode code, bool following);

}  // namespace mdgen::client
