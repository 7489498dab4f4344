// Where a step's seconds go on this rank, one part after the other, by the host's steady clock. No LibTorch.
//
// On a GPU the host only launches what the device computes later, and nothing here waits for it: `forward` is
// then the time of its launches, `backward` has the wait for the device that the step makes anyway before it
// joins the others, and an optimizer's work that is still under way shows in the next step's backward.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "core/base/clock.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Not thread-safe.
class StepClock {
 public:
  enum class Part { kData, kForward, kBackward, kReduce, kOptimizer };

  explicit StepClock(const Clock& clock) : clock_(clock) {}

  void begin();           // of a step, with kData; what was before is forgotten
  void enter(Part part);  // from now on it is this
  void end();             // what follows is not the step's

  // Told of each part that begins, and of the step's end as nullopt. Empty: nobody is.
  using Watcher = std::function<void(std::optional<Part>)>;
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }

  v1::StepTimes times() const;
  double before_reduce() const;  // data, forward and backward: what does not wait for other ranks

 private:
  static constexpr std::size_t kParts = 5;
  void account();  // the seconds since the last reading, for the part that was
  double of(Part part) const { return seconds_[static_cast<std::size_t>(part)]; }

  const Clock& clock_;
  std::array<double, kParts> seconds_{};
  Part part_ = Part::kData;
  Clock::Steady since_{};
  Watcher watcher_;
};

const char* part_name(StepClock::Part part);  // "data"

// The mean of the last values.
class RecentMean {
 public:
  static constexpr std::size_t kMost = 16;

  void add(double value);
  double mean() const;  // 0: there are none

 private:
  std::deque<double> values_;
};

}  // namespace mdgen::train
