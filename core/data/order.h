// The order in which an epoch uses its samples: pure functions, permutations. No LibTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "core/data/micro_batches.h"

namespace mdgen::data {

enum class Order { kShuffled, kBucketed };

// The permutation of 0 … count-1 for (seed, epoch): all are equally likely.
std::vector<std::uint32_t> epoch_order(std::uint64_t seed, std::int64_t epoch, std::uint32_t count);

// The same samples for steps of `step_size` (> 0), so that those of a step have similar lengths: epoch_order,
// sorted into buckets of 32 residues (inside a bucket it stays as it is), cut into steps, and the steps
// shuffled. Where count is no multiple of step_size, the short step is cut out at a random place of the
// sorted order and comes last.
std::vector<std::uint32_t> bucketed_order(std::uint64_t seed, std::int64_t epoch, std::uint32_t count,
                                          const SampleSizes& sizes, std::uint32_t step_size);

}  // namespace mdgen::data
