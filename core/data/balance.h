// How well a plan's work fits its ranks, from lengths alone: what a batch size or an order costs, before
// anything is run. No LibTorch.
#pragma once

#include <cstdint>

#include "core/data/plan.h"

namespace mdgen::data {

struct Balance {
  std::int64_t steps = 0;
  std::int64_t micro_batches = 0;
  double work = 0;      // of all micro-batches, in the units of micro_batch_cost()
  double time = 0;      // the same units: the most loaded rank's work, summed over steps
  double mean = 0;      // likewise the mean over ranks
  double worst = 1;     // largest max / mean of a step
  double residues = 0;  // computed, padding included, summed over samples

  double imbalance() const { return time / mean; }  // max / mean
};

enum class Cut { kByLength, kInOrder };  // kInOrder: every batch_size samples, as if lengths did not count

// Of the first `epochs` epochs on `ranks` ranks.
Balance balance(const PlanInputs& inputs, int ranks, std::int64_t epochs, Cut cut = Cut::kByLength);

}  // namespace mdgen::data
