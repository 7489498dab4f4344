// When the loop does what: pure functions of the spec, the step and the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::train {

// `applied` counts steps, the one that has just ended included; `epoch` is that step's, from 0.
bool checkpoint_due(const v1::JobSpec& spec, std::int64_t applied, std::int64_t epoch, bool last_of_epoch);
bool validation_due(const v1::JobSpec& spec, std::int64_t epoch, bool last_of_epoch);
bool print_due(const v1::JobSpec& spec, std::int64_t applied, std::int64_t total);

// Exponentially smoothed step time and throughput: the weight of a step that lies n steps back is
// smoothing^n. Pure but for the sums it holds.
class RateMeter {
 public:
  explicit RateMeter(double smoothing = 0.95) : smoothing_(smoothing) {}

  void add(double seconds, std::int64_t tokens);
  std::optional<double> step_seconds() const;                        // nothing before the first step
  std::optional<double> tokens_per_second() const;                   // nothing before the first second
  std::optional<double> eta_seconds(std::int64_t steps_left) const;  // nothing before the first step

 private:
  double smoothing_;
  double weight_ = 0;
  double seconds_ = 0;
  double tokens_ = 0;
};

// "1:02:03", "2d 01:02:03"; "?" for nothing.
std::string format_duration(std::optional<double> seconds);

}  // namespace mdgen::train
