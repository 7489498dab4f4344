#include "services/coordinator/step_samples.h"

#include <algorithm>
#include <exception>

#include "core/data/plan.h"

namespace mdgen::coordinator {
namespace {

constexpr std::size_t kMostSamples = 8;

std::string entry_name(const v1::JobSpec& spec, const v1::JobManifest& manifest, std::uint32_t sample) {
  if (!spec.data().overfit_peptide().empty()) return spec.data().overfit_peptide();
  const auto& entries = manifest.train().entries();
  if (entries.empty()) return "?";
  return entries[spec.data().overfit()
                     ? 0
                     : static_cast<int>(sample % static_cast<std::uint32_t>(entries.size()))]
      .name();
}

}  // namespace

std::string step_samples(const v1::JobSpec& spec, const v1::JobManifest& manifest, std::int64_t step) {
  try {
    data::RunPlan plan(data::plan_inputs(spec, manifest));
    if (step < 0 || step >= plan.total_steps()) return "none: the plan ends before it";
    const data::StepPlan planned = plan.step(step);
    std::string text;
    for (std::size_t i = 0; i < planned.samples.size() && i < kMostSamples; ++i)
      text += (i == 0 ? "" : ", ") + entry_name(spec, manifest, planned.samples[i]) + " (virtual sample " +
              std::to_string(planned.samples[i]) + ")";
    const std::size_t more = planned.samples.size() - std::min(planned.samples.size(), kMostSamples);
    return more == 0 ? text : text + " and " + std::to_string(more) + " more";
  } catch (const std::exception& error) {
    return std::string("unknown: ") + error.what();
  }
}

}  // namespace mdgen::coordinator
