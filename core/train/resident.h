// What a trainer holds from one generation to the next: the run itself, without the group that works on it.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/checkpoint/train_state.h"
#include "core/data/dataset.h"
#include "core/data/plan.h"
#include "core/ledger/writer.h"
#include "core/train/loop_state.h"
#include "core/train/run_state.h"
#include "core/train/schedule.h"
#include "core/train/step_log.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Not thread-safe. Steps count from 1 as in reports: `applied` of them are in the state.
struct Resident {
  // Opens the data sets and makes initial weights. `first` is the first assignment, with its manifest; what
  // it says of spec, data and run folder holds for all.
  Resident(v1::Assignment first, at::Device device);
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  std::int64_t applied() const { return state.progress().steps; }
  // Whether others may take the state over.
  bool is_resident() const { return stood && state.is_whole() && !deviates; }
  std::int64_t epoch_samples() const;
  StepPlace place_of(const data::StepPlan& step) const;
  // The state as a checkpoint holds it: live tensors, not copies.
  checkpoint::TrainState train_state();
  // Initial weights and nothing done, whatever is held.
  void reset();
  // A later assignment with what the first one said of the run. Throws RunFailure(OtherRun) when it is
  // another run's.
  v1::Assignment merged(const v1::Assignment& later) const;

  const v1::Assignment first;
  const v1::JobSpec& spec;
  const at::Device device;
  data::RunPlan plan;
  const std::int64_t total_steps;
  const std::string plan_digest;
  const std::string spec_digest;
  data::Dataset train_data;
  std::unique_ptr<data::Dataset> val_data;

  RunState state;
  LoopState loop;
  ledger::Chain chain;  // of the steps applied
  StepLog log;
  std::int64_t checkpointed = -1;  // the step of the last checkpoint
  std::int64_t generation = 0;     // the last one that the state stood in
  bool stood = false;              // it has begun a generation
  bool touched = false;            // something else than initial weights may be in it
  bool deviates = false;           // from the other ranks' (replica_check.h)
};

}  // namespace mdgen::train
