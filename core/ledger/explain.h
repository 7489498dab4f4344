// What may have gone wrong in a range whose hash sum is not the plan's. No LibTorch.
#pragma once

#include <cstdint>
#include <string>

#include "core/ledger/planned_samples.h"

namespace mdgen::ledger {

// A hash sum tells that a range of up to 1000 steps is wrong, not where. But each sample's hash is known, so
// a single mistake can be found by trying: the sum must be off by exactly the difference of two samples' or
// of two steps' hashes. 40 bits make an accidental match unlikely (below 1 in 100 for what is tried here);
// with two candidates nothing is claimed.
struct Explanation {
  std::string text;          // "as if step 7 had used sample 3 (a) in place of 17 (b)"; empty: none found
  std::int64_t repeats = 0;  // samples used once too often
  std::int64_t gaps = 0;     // samples that were not used
};

// `missing`: the expected sums minus those found of the steps of `range`.
Explanation explain(const v1::LedgerRecord& range, const Sums& missing, PlannedSamples& planned);

}  // namespace mdgen::ledger
