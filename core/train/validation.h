// The loss on the validation set.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/data/dataset.h"
#include "core/train/bad_samples.h"
#include "core/train/batch_metrics.h"
#include "core/train/named_values.h"
#include "core/train/run_state.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

struct ValidationResult {
  double loss = 0;           // mean over samples of the masked mean
  std::int64_t samples = 0;  // used
  NamedSamples bad_samples;  // left out
  BatchMeans batches;
  NamedSummary named;  // what the visitor gave
};

// Looks at a micro-batch after its loss: `index` is its number in the validation, the same whatever rank
// computes it, and `samples` are the virtual samples of its rows; the model is in evaluation mode, with the
// weights that are validated, and no gradients are kept. May throw: the run then ends.
using BatchVisitor =
    std::function<NamedValues(std::int64_t index, const data::MicroBatch& samples, const data::Batch& batch)>;

// How many of the validation set's `samples` are used: val_batches loader batches of each of workers.max
// ranks.
std::int64_t validated_samples(const v1::JobSpec& spec, std::int64_t samples);

// The virtual samples 0 … `samples` - 1 of the validation set, with the draws of kValidationEpoch, the same
// every time; micro-batches go to ranks as in training; no gradients. With the moving average's weights when
// one is kept. Summed in float64 in the micro-batches' order, so the same weights give the same bits whatever
// the number of ranks. Every rank must call it.
// Bad samples are left out; without a good one it throws RunFailure(NoGoodSample). `manifest` names them.
// `interrupt` is asked before each micro-batch and while one is read; it may throw, which ends the validation
// and leaves `state` as it was.
ValidationResult validate(const v1::JobSpec& spec, RunState& state, const data::Dataset& dataset,
                          const v1::Manifest& manifest, std::int64_t samples, comm::Collective& collective,
                          at::Device device, const Clock& clock, const BatchVisitor& visit = {},
                          const std::function<void()>& interrupt = {});

}  // namespace mdgen::train
