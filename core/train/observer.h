// What a run tells others and is told by them. No LibTorch.
#pragma once

#include <atomic>
#include <cstdint>

#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Called on the loop's thread, except checkpoint(), which comes from the writer's. Must not throw, must not
// block long.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  // Every rank; `step` counts the steps applied so far.
  virtual void phase(v1::TrainerPhase phase, std::int64_t step, bool entered_reduce) = 0;
  // Every rank, after each step: the mean time of its last steps before they waited for others (see
  // TrainerBeat), as if it had had an even share of the work.
  virtual void computed(double /*mean_seconds*/) {}
  virtual void started(const v1::StartReport& report) = 0;  // rank 0
  // Rank 0, once the step is known to be applied on every rank (one step later, or at a boundary where
  // something else happens).
  virtual void step_committed(const v1::StepReport& report) = 0;
  virtual void validated(const v1::ValidationReport& report) = 0;   // rank 0
  virtual void checkpoint(const v1::CheckpointReport& report) = 0;  // rank 0
};

// Set by other threads; read at step boundaries. All ranks act on the sum of the votes, at the same boundary.
struct RunControl {
  std::atomic<bool> stop{false};                // leave at the next agreed boundary
  std::atomic<bool> stop_checkpoint{false};     // and write a checkpoint first
  std::atomic<bool> stop_yield{false};          // and wait for another generation, do not end
  std::atomic<bool> abandoned{false};           // leave the generation now; its collective is aborted, too
  std::atomic<std::int64_t> lease_until_ns{0};  // steady clock; 0: no lease
  // Injected: so much longer takes each of the next `slow_steps`, which the loop counts down (below 0: all).
  std::atomic<std::int64_t> slow_ns{0};
  mutable std::atomic<std::int64_t> slow_steps{0};
};

}  // namespace mdgen::train
