// Which samples make which step: pure functions of the manifest and the spec, the same in coordinator and
// trainers.
//
//   epoch order    a permutation of the virtual samples 0 … items*repeat-1 (order.h), of which train_batches
//                  keeps the beginning
//   step plan      step s takes the next global_batch_size of them; the last batch of an epoch is short; none
//                  is dropped
//   micro-batches  cut from the step plan and the lengths alone (micro_batches.h)
//   assignment     whole micro-batches to ranks, a function of (micro-batches, world size) (assignment.h, and
//                  shard_ranges.h for strict determinism)
//
// Items are the split's entries; under overfit as many, but all of them the first entry; under
// overfit_peptide 1000 times the peptide. Virtual sample v is entry v % entries. No LibTorch. Everything here
// is a value type or a pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/micro_batches.h"
#include "core/data/order.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

// Which micro-batches a rank may have: any, so that loads are equal, or neighbours (determinism: strict).
enum class Sharing { kBalanced, kNeighbours };

struct PlanInputs {
  std::uint64_t seed = 0;
  std::uint32_t items = 0;
  std::uint32_t repeat = 1;
  std::uint32_t epoch_samples = 0;  // of an epoch's order, this many; 0: all
  std::uint32_t global_batch_size = 1;
  std::uint32_t batch_size = 1;
  Order order = Order::kShuffled;
  SampleSizes sizes{};
  std::int64_t epochs = 1;
  std::int64_t max_steps = 0;  // 0: no limit
  std::string manifest_digest{};
  Sharing sharing = Sharing::kBalanced;
};

// Steps that make `batches` loader batches of each of workers.max ranks, rounded up.
std::int64_t steps_of_batches(const v1::JobSpec& spec, std::int64_t batches);

// From a resolved spec and the train manifest. train_batches counts batches of batch_size for each of
// workers.max workers; what they make is rounded up to whole steps. No epochs when the spec only validates.
PlanInputs plan_inputs(const v1::JobSpec& spec, const v1::JobManifest& manifest);

// Virtual samples of a whole validation: the validation items val_repeat times. Under overfit the training
// samples (the reference's validation set is the training set then), under overfit_peptide 1000.
std::int64_t validation_samples(const v1::JobSpec& spec, const v1::JobManifest& manifest);

// SHA-256 over everything that fixes which samples make which step and which micro-batch: a run cannot go on
// with another. Left out are epochs and max_steps, so that a run can be prolonged, and what only the
// assignment sees (frames, width, sharing).
std::string plan_digest(const PlanInputs& inputs);

struct StepPlan {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  bool last_of_epoch = false;
  std::vector<std::uint32_t> samples;  // virtual samples, in the epoch's order
};

// Keeps the current epoch's order, so steps are cheap when asked for in order. Not thread-safe.
class RunPlan {
 public:
  explicit RunPlan(PlanInputs inputs);

  const PlanInputs& inputs() const { return inputs_; }
  std::int64_t steps_per_epoch() const;
  std::int64_t total_steps() const;  // epochs and max_steps applied
  StepPlan step(std::int64_t step);  // 0 <= step < total_steps()

 private:
  PlanInputs inputs_;
  std::int64_t cached_epoch_ = -1;
  std::vector<std::uint32_t> order_;
};

}  // namespace mdgen::data
