// How fast a job goes: pure functions over the last reported steps.
#pragma once

#include <cstdint>
#include <deque>

#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::coordinator {

class Pace {
 public:
  static constexpr std::size_t kSteps = 20;  // that the means are taken over

  void add(std::int64_t tokens, double seconds);
  double tokens_per_second() const;  // 0: nothing known
  double seconds_per_step() const;
  void clear() { steps_.clear(); }

 private:
  struct Step {
    std::int64_t tokens;
    double seconds;
  };
  std::deque<Step> steps_;
};

// A warning for each entry with samples that were left out, its first reason; at most kMostBadEntries.
inline constexpr int kMostBadEntries = 20;
void warn_of_bad_samples(v1::Job& job, const std::string& where,
                         const google::protobuf::RepeatedPtrField<v1::NamedSample>& samples);

// Writes a report into what people see: step, epoch, loss, first loss, tokens/s, ETA, bad samples.
void record_step(v1::Job& job, Pace& pace, const v1::StepReport& report);

// The newest are kept; the first of the list says how many older ones are left out.
inline constexpr int kKeptWarnings = 200;
void add_warning(v1::Job& job, std::string text);

// Likewise, but the first of all stays and says it.
inline constexpr int kKeptTransitions = 1000;
void keep_newest_transitions(v1::Job& job);

// The newest verified checkpoint. One that failed is a warning until a later one succeeds.
void record_checkpoint(v1::Job& job, const v1::CheckpointReport& report);

}  // namespace mdgen::coordinator
