// How fast a job goes, and what people see of it: pure functions over what its ranks reported.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "core/base/clock.h"
#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/run.pb.h"
#include "services/coordinator/straggler.h"

namespace mdgen::coordinator {

// Means over the last reported steps, each step alike; 0 while nothing is known. Rates are over the steps'
// own seconds: what lies between steps does not count.
class Pace {
 public:
  static constexpr std::size_t kSteps = 20;  // that the means are taken over

  void add(const v1::StepReport& report);
  double tokens_per_second() const;
  double samples_per_second() const;
  double flops_per_second() const;
  double seconds_per_step() const;
  v1::StepTimes times() const;
  void clear() { steps_.clear(); }

 private:
  struct Step {
    double tokens;
    double samples;
    double flops;
    double seconds;
    v1::StepTimes times;
  };
  double per_second(double Step::*what) const;

  std::deque<Step> steps_;
};

// How much longer a run takes than its steps do by themselves: validations and checkpoints lie between them.
// Recoveries do not count.
class Stretch {
 public:
  void step(Clock::Steady now, double seconds);
  void interrupt() { last_.reset(); }  // the next step is the first of a generation
  double factor() const;               // at least 1, at most kMost

 private:
  static constexpr double kMost = 10;
  std::optional<Clock::Steady> last_;
  double passed_ = 0;
  double in_steps_ = 0;
};

// What went into committed steps. Steps that are lost and done again are taken back at the mean of all.
class Effort {
 public:
  void step(double seconds, std::int64_t steps);
  void lose(std::int64_t steps);
  double seconds() const { return seconds_; }
  // Of a job that was stored: what its ratio says that had been useful until its last step.
  void restore(const v1::Job& job);

 private:
  double seconds_ = 0;
  std::int64_t steps_ = 0;
};

// What is known of a run's speed beyond the job that people see.
struct RunPace {
  Pace pace;
  Stretch stretch;
  Effort effort;
  double gemm_ceiling = 0;  // floating-point operations a second of one rank; 0: not measured
  StragglerWatch stragglers;
  std::int64_t looked_at = 0;  // the last step at which it was looked for them

  void new_generation();
  void restore(const v1::Job& job);
};

struct At {
  Clock::Steady steady;
  Clock::Wall wall;
};

// Time since the job first ran in which it had workers or was recovering: neither queueing nor pauses.
double active_seconds(const v1::Job& job, Clock::Wall now);

// The ratio as it is now: it falls while no step is committed.
void update_goodput(v1::Job& job, const RunPace& pace, Clock::Wall now);

// A warning for each entry with samples that were left out, its first reason; at most kMostBadEntries.
inline constexpr int kMostBadEntries = 20;
void warn_of_bad_samples(v1::Job& job, const std::string& where,
                         const google::protobuf::RepeatedPtrField<v1::NamedSample>& samples);

// Write reports into what people see. A start: where it goes on, and what was lost. A step: step, epoch,
// loss, grad norm, rates, where its time went, progress, ETA, bad samples.
void record_start(v1::Job& job, RunPace& pace, const v1::StartReport& report, std::int64_t lost_steps);
void record_step(v1::Job& job, RunPace& pace, const v1::StepReport& report, const At& now);

// The newest are kept; the first of the list says how many older ones are left out.
inline constexpr int kKeptWarnings = 200;
void add_warning(v1::Job& job, std::string text);

// Likewise, but the first of all stays and says it.
inline constexpr int kKeptTransitions = 1000;
void keep_newest_transitions(v1::Job& job);

// The newest verified checkpoint. One that failed is a warning until a later one succeeds.
void record_checkpoint(v1::Job& job, const v1::CheckpointReport& report);

}  // namespace mdgen::coordinator
