#include "services/coordinator/validator.h"

#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/checkpoint/portable.h"
#include "core/config/spec.h"
#include "core/data/manifest.h"
#include "core/data/plan.h"

namespace mdgen::coordinator {

namespace {

// Lightning refuses it as well: no validation would ever happen.
void check_val_freq(const v1::JobSpec& spec, const data::RunPlan& plan) {
  if (!spec.loop().has_val_freq() || spec.loop().no_validate() || spec.loop().validate()) return;
  const std::int64_t steps = data::steps_of_batches(spec, spec.loop().val_freq());
  if (steps <= plan.steps_per_epoch()) return;
  throw Error(ErrorCode::kInvalidArgument,
              "loop.val_freq = " + std::to_string(spec.loop().val_freq()) + " batches are " +
                  std::to_string(steps) + " steps, but an epoch has " +
                  std::to_string(plan.steps_per_epoch()) +
                  ": there would be no validation; lower it, or leave it out and give val_epoch_freq");
}

}  // namespace

Validated examine(const v1::JobSpec& spec) {
  checkpoint::check_start(spec);
  data::ManifestResult found = data::build_manifest(spec);
  const data::RunPlan plan(data::plan_inputs(spec, found.manifest));
  check_val_freq(spec, plan);
  Validated result;
  result.plan_digest = data::plan_digest(plan.inputs());
  result.total_steps = plan.total_steps();
  result.warnings = config::warnings(spec);
  for (std::string& warning : found.warnings) result.warnings.push_back(std::move(warning));
  result.manifest = std::move(found.manifest);
  return result;
}

}  // namespace mdgen::coordinator
