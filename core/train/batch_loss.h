// The loss of one micro-batch, with what is logged of it.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "core/base/clock.h"
#include "core/data/batch.h"
#include "core/train/batch_metrics.h"
#include "core/train/run_state.h"
#include "core/transport/transport.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

// What is logged of a micro-batch, before its values have come to the host.
struct BatchRecord {
  at::Tensor values;   // float64 on the batch's device, no graph
  BatchMetrics times;  // the durations; the rest is NaN
};
// In one copy from the device.
std::vector<BatchMetrics> to_host(const std::vector<BatchRecord>& records);

struct BatchLoss {
  at::Tensor sum;  // of the samples' losses: a scalar, differentiable
  BatchRecord record;
};

// Computes micro-batches one after the other. Nothing waits for the device here: on a GPU the durations are
// those of the launches, as in the reference. Not thread-safe.
class BatchLosses {
 public:
  // All must outlive it.
  BatchLosses(RunState& state, const v1::JobSpec& spec, const Clock& clock);

  // In the state's precision.
  BatchLoss operator()(const data::Batch& given);

 private:
  RunState& state_;
  const v1::JobSpec& spec_;
  const Clock& clock_;
  transport::Transport transport_;
  Clock::Steady logged_;  // the batch before
};

}  // namespace mdgen::train
