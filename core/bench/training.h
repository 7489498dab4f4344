// A job in this process: its data, and the training step of one rank.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <vector>

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/data/dataset.h"
#include "core/data/plan.h"
#include "core/train/run_state.h"
#include "core/train/step.h"
#include "core/train/step_feed.h"
#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::bench {

struct Job {
  v1::JobManifest manifest;
  data::Dataset dataset;
  data::RunPlan plan;
  int channels;  // of the latents

  explicit Job(const v1::JobSpec& spec);
};

// The real step, of a group of one. Not thread-safe.
class Training {
 public:
  // Both must outlive it.
  Training(const v1::JobSpec& spec, const Job& job, at::Device device);

  train::StepOutcome step(const train::StepWork& work, train::StepFeed& feed);
  train::StepClock& clock() { return stepper_.clock(); }
  const train::RunState& state() const { return state_; }

 private:
  const v1::JobSpec& spec_;
  SystemClock clock_;
  train::RunState state_;
  train::LoopState loop_;
  train::FaultPoints no_faults_;
  std::vector<std::unique_ptr<comm::Collective>> collectives_;
  train::Stepper stepper_;
};

}  // namespace mdgen::bench
