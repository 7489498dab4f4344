#include "services/coordinator/validator.h"

#include <utility>

#include "core/checkpoint/portable.h"
#include "core/config/spec.h"
#include "core/data/manifest.h"
#include "core/data/plan.h"

namespace mdgen::coordinator {

Validated examine(const v1::JobSpec& spec) {
  checkpoint::check_start(spec);
  data::ManifestResult found = data::build_manifest(spec);
  const data::RunPlan plan(data::plan_inputs(spec, found.manifest));
  Validated result;
  result.plan_digest = data::plan_digest(plan.inputs());
  result.total_steps = plan.total_steps();
  result.warnings = config::warnings(spec);
  for (std::string& warning : found.warnings) result.warnings.push_back(std::move(warning));
  result.manifest = std::move(found.manifest);
  return result;
}

}  // namespace mdgen::coordinator
