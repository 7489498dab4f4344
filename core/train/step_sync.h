// The one small all-reduce that every step ends with.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/comm/collective.h"
#include "core/train/batch_metrics.h"

namespace mdgen::train {

// What a rank adds to a step; after the reduction, the sums over all ranks. All ranks then see the same
// numbers, so they take the same decisions at the same boundary.
struct StepTally {
  double loss_sum = 0;                // of per-sample losses
  std::int64_t samples = 0;           // used
  std::int64_t bad = 0;               // left out
  std::int64_t tokens = 0;            // frames x residues, padding left out
  std::int64_t nonfinite = 0;         // ranks that found the reduced gradient not finite
  std::int64_t stop_votes = 0;        // ranks asked to leave at this boundary
  std::int64_t checkpoint_votes = 0;  // ... and to write a checkpoint first
  std::int64_t end_votes = 0;         // ... and to end, not to wait for another generation
  std::uint64_t hash_sum = 0;         // of the 40-bit hashes of the samples used, modulo 2^64
  BatchMeans batches;                 // what is logged of the micro-batches
};

// Sums `mine` over all ranks in float64; hash sums and counts stay exact. Throws RunFailure(RanksOutOfStep)
// when the ranks are not all in the same `step`.
StepTally reduce_tally(comm::Collective& collective, at::Device device, std::int64_t step,
                       const StepTally& mine);

}  // namespace mdgen::train
