// The loss on the validation set.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/comm/collective.h"
#include "core/data/dataset.h"
#include "core/train/run_state.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

struct ValidationLoss {
  double loss = 0;  // mean over samples of the masked mean
  std::int64_t samples = 0;
};

// Each of the `entries` validation entries val_repeat times, with the draws of kValidationEpoch, the same
// every time; micro-batches go to ranks as in training; no gradients. With the moving average's weights when
// one is kept. Summed in float64. Every rank must call it.
ValidationLoss validate(const v1::JobSpec& spec, RunState& state, const data::Dataset& dataset,
                        std::int64_t entries, comm::Collective& collective, at::Device device);

}  // namespace mdgen::train
