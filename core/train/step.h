// One optimizer step on one rank.
//
//   loss = 1/N sum over the step's N samples, on all ranks, of the sample's masked mean
//
// Each micro-batch's backward pass starts from its samples' losses times 1/N, N being known from the plan on
// every rank; so the reduced sum of gradients is the gradient, and nothing is divided afterwards. A rank
// without micro-batches joins the reduction with zeros.
//
// When samples could not be read (data.on_bad_sample: skip), how many is known only after all ranks have
// read: N is the planned number first, and the reduced sum is multiplied by planned/used afterwards, on all
// ranks alike. Without bad samples nothing is multiplied. A step in which every sample is bad is skipped.
//
// Under determinism: strict every sum over samples is one over micro-batches, by the fixed tree of
// base/sum_tree.h, so that the number of ranks does not show in any bit.
//
// Under 16-mixed backward starts from that times the loss scale, and the reduced sum is divided by it before
// its norm is taken.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/comm/gradient_sum.h"
#include "core/train/batch_loss.h"
#include "core/train/failure.h"
#include "core/train/fault_points.h"
#include "core/train/gradient_check.h"
#include "core/train/loop_state.h"
#include "core/train/run_state.h"
#include "core/train/step_clock.h"
#include "core/train/step_feed.h"
#include "core/train/step_sync.h"
#include "mdgen/v1/manifest.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

struct StepOutcome {
  v1::StepReport report;  // step = steps applied, this one included
  bool stop = false;      // some rank voted for it
  bool checkpoint = false;
  bool yield = false;                 // all who voted for it go on in another generation
  std::optional<RunFailure> failure;  // max_skipped_steps in a row were skipped
};

// Not thread-safe. Throws what Collective throws.
class Stepper {
 public:
  using Phase = std::function<void(v1::TrainerPhase phase, bool entered_reduce)>;
  struct Votes {
    bool stop = false;
    bool checkpoint = false;
    bool yield = false;
  };

  // All must outlive the stepper. `train` names the samples in errors.
  Stepper(const v1::JobSpec& spec, const v1::Manifest& train, RunState& state, LoopState& loop,
          comm::Collective& collective, at::Device device, const Clock& clock, FaultPoints& faults);

  // Forward and backward over this rank's micro-batches (from `feed`), reduction, small all-reduce, clipping,
  // optimizer, moving average; counts the step in the state's progress and its batches in the loop's state.
  // Votes are given and counted in the small all-reduce, so that they hold for the boundary at the end of
  // this step. A loss or a gradient that is not finite after the reduction leaves weights, optimizer and
  // average alone on all ranks; its samples count as consumed. A gradient that only the loss scale made so
  // (see judge_step) is no fault and not counted as one.
  // `interrupt` is asked before each micro-batch and while one is read; it may throw, which ends the step.
  // The report has no `seconds`, `flops` and `times`; the clock, which was begun before, says the times.
  StepOutcome run(const StepWork& work, StepFeed& feed, double lr, Votes votes, const Phase& phase,
                  const std::function<void()>& interrupt = {});
  StepClock& clock() { return step_clock_; }

 private:
  // A micro-batch after its backward pass.
  struct Computed {
    std::int64_t number = 0;  // its place in the step
    at::Tensor loss_sum;      // float64, on the device
    BatchRecord record;
  };

  void check_gradients();
  void tally_batches(const StepWork& work, const std::vector<Computed>& computed, StepTally& tally) const;
  StepTally accumulate(const StepWork& work, StepFeed& feed, const std::function<void()>& interrupt);
  void name_bad_samples(v1::StepReport& report);
  StepVerdict apply(const StepWork& work, const StepTally& all, double lr, const at::Tensor& norm);
  double scale_to_used(const StepTally& all, at::Tensor& norm);
  std::optional<RunFailure> count_skip(const StepWork& work, const StepTally& all, bool skipped);

  const v1::JobSpec& spec_;
  const v1::Manifest& train_;
  RunState& state_;
  LoopState& loop_;
  comm::Collective& collective_;
  at::Device device_;
  BatchLosses losses_;
  StepClock step_clock_;
  GradientCheck gradient_check_;
  FaultPoints& faults_;
  std::unique_ptr<comm::GradientSum> gradients_;
  std::vector<data::BadSample> bad_;  // this rank's, of the step
};

}  // namespace mdgen::train
