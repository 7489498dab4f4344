// Training runs in this process, one thread a rank.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/train/loop.h"
#include "tests/support/collective_backends.h"
#include "tests/support/training_spec.h"

namespace mdgen::testing {

// Keeps all reports; may ask for a stop after a step.
class RecordingObserver : public train::RunObserver {
 public:
  void phase(v1::TrainerPhase phase, std::int64_t, bool) override {
    phases.push_back(phase);
    if (on_phase) on_phase(phase);
  }
  void computed(double mean_seconds) override { compute_seconds = mean_seconds; }
  void started(const v1::StartReport& report) override { start = report; }
  void step_committed(const v1::StepReport& report) override {
    steps.push_back(report);
    if (on_step) on_step(report);
  }
  void validated(const v1::ValidationReport& report) override { validations.push_back(report); }
  void checkpoint(const v1::CheckpointReport& report) override { checkpoints.push_back(report); }

  std::function<void(const v1::StepReport&)> on_step;
  std::function<void(v1::TrainerPhase)> on_phase;
  std::vector<v1::TrainerPhase> phases;
  double compute_seconds = 0;
  v1::StartReport start;
  std::vector<v1::StepReport> steps;
  std::vector<v1::ValidationReport> validations;
  std::vector<v1::CheckpointReport> checkpoints;
};

struct RunResult {
  v1::FinishReport finish;
  RecordingObserver observer;  // rank 0's
};

struct RunOptions {
  std::int64_t generation = 1;
  std::int64_t stop_after = 0;  // ask for a stop once this step is committed; 0: never
  bool stop_checkpoint = false;
  bool require_checkpoint = false;
  Backend backend{"local", 1};
  std::function<void(const v1::StepReport&)> on_step{};  // rank 0, after a step is committed
  const Clock* clock = nullptr;                          // null: the system's
};

// Runs the spec on all ranks of the backend; throws the first rank's error.
inline RunResult run_training(const v1::JobSpec& spec, const RunOptions& options = {}) {
  RunResult result;
  const v1::Assignment base = assignment_for(spec, 0, options.backend.world_size, options.generation);
  train::RunControl control;
  run_group_or_throw(options.backend, [&](comm::Collective& collective) {
    v1::Assignment assignment = base;
    assignment.set_rank(collective.rank());
    assignment.set_require_checkpoint(options.require_checkpoint);
    RecordingObserver own;
    RecordingObserver& observer = collective.rank() == 0 ? result.observer : own;
    observer.on_step = [&](const v1::StepReport& report) {
      if (options.on_step && collective.rank() == 0) options.on_step(report);
      if (report.step() != options.stop_after) return;
      control.stop_checkpoint = options.stop_checkpoint;
      control.stop = true;
    };
    const SystemClock system;
    const Clock& clock = options.clock != nullptr ? *options.clock : system;
    const v1::FinishReport finish = train::run(assignment, collective, at::kCPU, observer, control, clock);
    if (collective.rank() == 0) result.finish = finish;
  });
  return result;
}

}  // namespace mdgen::testing
