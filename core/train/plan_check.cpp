#include "core/train/plan_check.h"

#include <string>

#include "core/train/failure.h"

namespace mdgen::train {

data::RunPlan checked_plan(const v1::Assignment& assignment) {
  data::RunPlan plan(data::plan_inputs(assignment.spec(), assignment.manifest()));
  const std::string ours = data::plan_digest(plan.inputs());
  if (ours != assignment.plan().plan_digest()) {
    throw RunFailure(ErrorCode::kFailedPrecondition, "PlanMismatch",
                     "the plan's digest is " + ours + " here, but the assignment says " +
                         assignment.plan().plan_digest() + ": coordinator and trainer differ in version");
  }
  const std::int64_t end = assignment.plan().end_step();
  if (end != plan.total_steps()) {
    throw RunFailure(ErrorCode::kFailedPrecondition, "PlanMismatch",
                     "the plan has " + std::to_string(plan.total_steps()) +
                         " steps here, but the assignment ends at step " + std::to_string(end));
  }
  return plan;
}

}  // namespace mdgen::train
