// How many residues a micro-batch is computed with: a pure function of the spec and the samples' lengths, the
// same for the plan's costs and for the batches. No LibTorch.
#pragma once

#include <cstdint>
#include <span>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::data {

struct PaddingRules {
  std::int32_t crop = 0;      // most residues; 0: no cropping, no padding
  bool trims = false;         // pads to the longest sample only, else to crop
  std::int32_t multiple = 1;  // trimmed lengths are rounded up to a multiple of this, but not beyond crop
};
PaddingRules padding_rules(const v1::JobSpec& resolved);

// Residues that a sample of a protein shows.
std::int32_t shown_residues(const PaddingRules& rules, std::int32_t protein_residues);

// Residues of a micro-batch whose proteins have `protein_residues`; at least one.
std::int32_t padded_residues(const PaddingRules& rules, std::span<const std::int32_t> protein_residues);

}  // namespace mdgen::data
