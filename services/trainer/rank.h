// A rank's life: session, generation after generation, last word. No LibTorch in this header.
#pragma once

#include "core/base/clock.h"
#include "mdgen/v1/run.pb.h"
#include "services/trainer/agent.h"

namespace mdgen::trainer {

inline constexpr int kHoldExpired = 75;  // EX_TEMPFAIL: starting again later goes on

struct RankEnd {
  v1::FinishReport report;
  int status = 0;     // of the process: 0, 1 after OUTCOME_FAILED, kHoldExpired
  bool gone = false;  // the agent: there is nobody to report to
};

// From the first assignment, which `agent` gives, to the last word. A generation that is lost or left is
// reported, and what is held in memory waits for the next assignment, at most recovery.hold_for_seconds: then
// a checkpoint of it is written and the rank ends with kHoldExpired. Every exception of the rank's own
// becomes a report with OUTCOME_FAILED.
RankEnd run_rank(Agent& agent, const Clock& clock);

}  // namespace mdgen::trainer
