// What a one-command run prints: pure functions from a job to a line.
#pragma once

#include <optional>
#include <string>

#include "core/base/clock.h"
#include "mdgen/v1/job.pb.h"

namespace mdgen::launcher {

// "RUNNING", without the prefix.
std::string state_name(v1::JobState state);

bool is_final(v1::JobState state);

// "45s", "12m05s", "3h07m", "2d04h".
std::string duration_text(double seconds);

// "step 120/2000  epoch 3  loss 0.4321  812 tokens/s  ETA 12m05s": what is not known yet is left out.
std::string progress_line(const v1::Job& job);

// "job <id> SUCCEEDED steps=<n> loss=<first>-><last> checkpoint=<folder>".
std::string summary_line(const v1::Job& job);

// The exit status that a final job stands for: 0 SUCCEEDED, 1 FAILED, 3 CANCELLED.
int exit_status(v1::JobState state);

// Chooses what to print while a job goes on: each new state with its reason, and steps at most once a second.
// Not thread-safe.
class ProgressPrinter {
 public:
  std::optional<std::string> line(const v1::Job& job, Clock::Steady now);

 private:
  v1::JobState state_ = v1::JOB_STATE_UNSPECIFIED;
  std::int64_t step_ = 0;
  std::optional<Clock::Steady> printed_;
};

}  // namespace mdgen::launcher
