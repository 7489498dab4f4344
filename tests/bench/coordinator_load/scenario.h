// One load: jobs are queued, the agents come, train, lose a trainer, are cancelled.
#pragma once

#include "tests/bench/coordinator_load/report.h"

namespace mdgen::load {

// Runs it against a coordinator of its own. What goes wrong stands in `problems`. Throws Error when the load
// cannot be made at all (no such program, too few descriptors).
RunResult run_load(const LoadOptions& options);

}  // namespace mdgen::load
