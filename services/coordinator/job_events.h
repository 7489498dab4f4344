// What happened to a job, numbered. Value type; no clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mdgen/v1/job.pb.h"

namespace mdgen::coordinator {

class JobEvents {
 public:
  static constexpr std::int64_t kKept = 1000;  // the newest of a job, in the store too

  JobEvents() = default;
  explicit JobEvents(std::int64_t last_sequence) : last_(last_sequence) {}

  // Gives it the next sequence.
  void add(v1::JobEvent event);
  std::int64_t last_sequence() const { return last_; }  // 0: there is none
  std::int64_t dropped() const { return last_ > kKept ? last_ - kKept : 0; }

  // Those that are not stored yet, the newest kKept at most.
  const std::vector<v1::JobEvent>& pending() const { return pending_; }
  void clear_pending() { pending_.clear(); }

 private:
  std::int64_t last_ = 0;
  std::vector<v1::JobEvent> pending_;
};

// "from memory of rank 2 at step 40: 3 workers after 2.1 s, 0 steps done again"
std::string recovered_text(const v1::Recovery& recovery);
// "step-40 (step 40), the step waited 0.1 s for it, written in 2 s"
std::string checkpoint_text(const v1::CheckpointReport& report);

}  // namespace mdgen::coordinator
