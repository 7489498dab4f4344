// One trainer's training of one run, over its generations: what it holds in memory outlives each of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/train/generation.h"
#include "core/train/observer.h"
#include "core/train/outputs.h"
#include "core/train/resident.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// How a generation ended for this rank: for good, or with what it holds.
struct SessionEnd {
  std::optional<v1::FinishReport> finished;
  v1::LeftReport left;  // unless finished
};

// Not thread-safe, but for what observer and control say.
class Session {
 public:
  // `first`, with its manifest, is the first assignment; opens the data sets and makes initial weights. Sets
  // the calling thread's LibTorch threads. All must outlive it.
  Session(v1::Assignment first, at::Device device, RunObserver& observer, const RunControl& control,
          const Clock& clock);
  ~Session();

  // Trains in the group that `collective` is. What the collective throws, and an order to abandon, only ends
  // the generation; all other exceptions are this rank's own and pass through.
  SessionEnd run(const v1::Assignment& assignment, comm::Collective& collective, double form_seconds = 0);
  // The same, but everything passes through, and a yield ends like a stop.
  v1::FinishReport run_alone(const v1::Assignment& assignment, comm::Collective& collective);

  // What is held, for a generation that was left for this reason before it began.
  v1::LeftReport left(const std::string& reason, const std::string& message) const;
  std::chrono::milliseconds hold_time() const;
  std::int64_t applied() const { return resident_.applied(); }
  // Between two generations: writes a checkpoint of what is held unless the run folder has a good one of this
  // or a later step. Returns whether it has one then; false when nothing is held. Throws
  // RunFailure(CheckpointFailed).
  bool save();

 private:
  bool has_checkpoint() const;
  GenerationEnd execute(const v1::Assignment& assignment, comm::Collective& collective, double form_seconds);

  RunObserver& observer_;
  const RunControl& control_;
  const Clock& clock_;
  Resident resident_;
  Outputs outputs_;
  FaultPoints faults_;
};

}  // namespace mdgen::train
