// A trace of some steps' operations, in the format of Chrome's trace viewer and Perfetto: LibTorch's own
// profiler, with the parts of a step (step_clock.h) as ranges of their names. On CUDA also what the device
// does.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/train/step_clock.h"

namespace mdgen::train {

// Traces `steps` steps, the first left out (it makes ready), and writes `file` after the last of them, or
// when it goes away before. Trouble with the folder or the disk is warned of, and never ends the run. One a
// process at a time; all calls from one thread, the process's first (LibTorch's profiler records nothing
// otherwise).
class StepProfiler {
 public:
  // `clock` is of the steps and must outlive it. steps 0: nothing happens.
  StepProfiler(std::filesystem::path file, std::int64_t steps, bool on_cuda, StepClock& clock);
  ~StepProfiler();
  StepProfiler(const StepProfiler&) = delete;
  StepProfiler& operator=(const StepProfiler&) = delete;

  void begin_step();
  void end_step();

 private:
  void start();
  void stop();

  std::filesystem::path file_;
  std::int64_t left_;  // steps to be traced
  bool on_cuda_;
  StepClock& clock_;
  std::int64_t done_ = 0;  // steps, the first included
  bool active_ = false;
};

}  // namespace mdgen::train
