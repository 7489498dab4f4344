// The one small all-reduce that every step ends with.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "core/comm/collective.h"
#include "core/train/batch_metrics.h"

namespace mdgen::train {

// A micro-batch of a step under determinism: strict, whose sums are made of these, in the tree's order.
struct ShardTally {
  std::int64_t number = 0;  // its place among the step's micro-batches
  double loss_sum = 0;      // of per-sample losses
  BatchMeans batches;       // what is logged of it
};

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
  // Under determinism: strict the step's number of micro-batches, and this rank's; loss_sum and batches are
  // then left alone, and made of the shards of all ranks. shard_count is equal on all ranks.
  std::int64_t shard_count = 0;
  std::vector<ShardTally> shards;
};

// Sums `mine` over all ranks in float64; hash sums and counts stay exact. With shards the result has the same
// bits for every number of ranks. Throws RunFailure(RanksOutOfStep)
// when the ranks are not all in the same `step`.
StepTally reduce_tally(comm::Collective& collective, at::Device device, std::int64_t step,
                       const StepTally& mine);

}  // namespace mdgen::train
