#include "core/ledger/planned_samples.h"

#include <algorithm>

namespace mdgen::ledger {

PlannedSamples::PlannedSamples(const v1::JobSpec& spec, const v1::JobManifest& manifest)
    : spec_(spec),
      train_(manifest.train()),
      plan_(data::plan_inputs(spec, manifest)),
      rules_(data::window_rules(spec)),
      digest_(data::plan_digest(plan_.inputs())) {}

std::uint32_t PlannedSamples::virtual_samples() const { return plan_.inputs().items * plan_.inputs().repeat; }

std::int64_t PlannedSamples::samples_between(std::int64_t first_step, std::int64_t last_step) const {
  const data::PlanInputs& inputs = plan_.inputs();
  const std::int64_t in_epoch = inputs.epoch_samples > 0 ? inputs.epoch_samples : virtual_samples();
  const auto until = [&](std::int64_t step) {
    const std::int64_t begun = step % plan_.steps_per_epoch() * inputs.global_batch_size;
    return step / plan_.steps_per_epoch() * in_epoch + std::min(begun, in_epoch);
  };
  return until(last_step) - until(first_step - 1);
}

const v1::ManifestEntry& PlannedSamples::entry(std::uint32_t virtual_sample) const {
  return train_.entries(static_cast<int>(virtual_sample % static_cast<std::uint32_t>(train_.entries_size())));
}

std::uint64_t PlannedSamples::hash(std::int64_t epoch, std::uint32_t virtual_sample) const {
  const data::DrawKey key{spec_.seed(), static_cast<std::uint32_t>(epoch), virtual_sample};
  return data::sample_hash(key, data::draw_window(key, entry(virtual_sample), rules_),
                           data::draw_flow_time(key));
}

Sums PlannedSamples::sums(const data::StepPlan& step) const {
  Sums sums{0, static_cast<std::int64_t>(step.samples.size())};
  for (const std::uint32_t sample : step.samples) sums.hash_sum += hash(step.epoch, sample);
  return sums;
}

std::string PlannedSamples::name(std::uint32_t virtual_sample) const {
  return std::to_string(virtual_sample) + " (" + entry(virtual_sample).name() + ")";
}

}  // namespace mdgen::ledger
