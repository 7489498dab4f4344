// Examines a job's data set and fixes its plan.
#pragma once

#include "core/base/parallel.h"
#include "services/coordinator/engine.h"

namespace mdgen::coordinator {

// Reads both splits, every array's header and those of checkpoint.ckpt, unless the request brings what a
// worker found. All problems go to preflight.json in the run folder. Throws Error: kInvalidArgument listing
// the first of them and naming that file, kAborted when `progress` ended it.
Validated examine(const RequestManifest& request, const ParallelProgress& progress);

}  // namespace mdgen::coordinator
