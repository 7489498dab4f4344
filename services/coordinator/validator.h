// Examines a job's data set and fixes its plan.
#pragma once

#include "mdgen/v1/job_spec.pb.h"
#include "services/coordinator/job_record.h"

namespace mdgen::coordinator {

// Reads both splits, every array's header and those of checkpoint.ckpt. Throws Error(kInvalidArgument)
// listing every problem.
Validated examine(const v1::JobSpec& spec);

}  // namespace mdgen::coordinator
