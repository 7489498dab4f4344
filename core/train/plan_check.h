// The plan that a rank works by, compared with what the coordinator has stored.
#pragma once

#include "core/data/plan.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Throws RunFailure(PlanMismatch) naming both sides: coordinator and trainer would differ in version.
data::RunPlan checked_plan(const v1::Assignment& assignment);

}  // namespace mdgen::train
