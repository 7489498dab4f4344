#include "services/coordinator/validator.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/checkpoint/portable.h"
#include "core/config/spec.h"
#include "core/data/plan.h"
#include "core/data/preflight.h"
#include "core/data/split.h"
#include "services/coordinator/run_folder.h"

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

v1::Preflight examine_here(const v1::JobSpec& spec, const ParallelProgress& progress) {
  checkpoint::check_start(spec);
  return data::examine_data(spec, {.progress = progress});
}

void refuse_problems(const std::string& run_folder, const v1::Preflight& found) {
  std::string list = preflight_file(run_folder).string();
  try {
    write_preflight(run_folder, found);
  } catch (const Error& error) {
    spdlog::warn("{}", error.what());
    list.clear();
  }
  if (found.problems().empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              data::problems_text(std::vector(found.problems().begin(), found.problems().end()), list));
}

}  // namespace

Validated examine(const RequestManifest& request, const ParallelProgress& progress) {
  const v1::JobSpec& spec = request.spec;
  v1::Preflight found = request.found ? *request.found : examine_here(spec, progress);
  refuse_problems(request.run_folder, found);
  const data::RunPlan plan(data::plan_inputs(spec, found.manifest()));
  check_val_freq(spec, plan);
  Validated result;
  result.plan_digest = data::plan_digest(plan.inputs());
  result.total_steps = plan.total_steps();
  const std::int64_t epoch = plan.steps_per_epoch();
  result.total_epochs = static_cast<std::int32_t>((plan.total_steps() + epoch - 1) / epoch);
  result.warnings = config::warnings(spec);
  for (std::string& warning : *found.mutable_warnings()) result.warnings.push_back(std::move(warning));
  result.manifest = std::move(*found.mutable_manifest());
  return result;
}

}  // namespace mdgen::coordinator
