// The plan's samples as the ledger sees them. No LibTorch.
#pragma once

#include <cstdint>
#include <string>

#include "core/data/draws.h"
#include "core/data/plan.h"
#include "core/ledger/writer.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::ledger {

// Steps count from 1, as in the ledger. Steps are cheap when asked for in order. Not thread-safe; spec and
// manifest must outlive it.
class PlannedSamples {
 public:
  PlannedSamples(const v1::JobSpec& spec, const v1::JobManifest& manifest);

  const std::string& digest() const { return digest_; }
  std::int64_t total_steps() const { return plan_.total_steps(); }
  std::uint32_t virtual_samples() const;  // of an epoch
  data::StepPlan step(std::int64_t step) { return plan_.step(step - 1); }

  std::int64_t samples_between(std::int64_t first_step, std::int64_t last_step) const;
  std::uint64_t hash(std::int64_t epoch, std::uint32_t virtual_sample) const;
  Sums sums(const data::StepPlan& step) const;
  std::string name(std::uint32_t virtual_sample) const;  // "17 (4ake_A)"

 private:
  const v1::ManifestEntry& entry(std::uint32_t virtual_sample) const;

  const v1::JobSpec& spec_;
  const v1::Manifest& train_;
  data::RunPlan plan_;
  data::WindowRules rules_;
  std::string digest_;
};

}  // namespace mdgen::ledger
