// What the loop itself carries from step to step, beside model and optimizer: in the checkpoint's state.json,
// so that a resumed run counts and averages on. The same on every rank.
#pragma once

#include <cstdint>
#include <string>

#include "core/train/batch_metrics.h"

namespace mdgen::train {

struct LoopState {
  std::int64_t skipped_in_a_row = 0;  // steps up to the last one whose loss or gradient was not finite
  std::int64_t batches = 0;           // micro-batches computed on all ranks, validations' included
  // The newest step whose boundary (its validation) is behind us. Less than the steps applied: it comes
  // first.
  std::int64_t boundary = 0;
  std::int64_t total_steps = 0;  // of the run as it was planned when this was saved; 0: unknown
  std::int64_t bad_epoch = 0;    // the epoch that bad_samples counts
  std::int64_t bad_samples = 0;  // left out of it so far
  std::string precision{};       // what optim.precision: auto came to; otherwise empty
  BatchMeans iter;               // since the last line of that kind
  BatchMeans train;              // of the epoch

  bool operator==(const LoopState&) const = default;
};

std::string to_json(const LoopState& state);
// "" is an older checkpoint's: nothing is known. Throws Error(kDataLoss).
LoopState loop_state_from_json(const std::string& text);

}  // namespace mdgen::train
