#include "core/train/step_clock.h"

#include <chrono>
#include <numeric>

namespace mdgen::train {

void StepClock::begin() {
  seconds_.fill(0);
  part_ = Part::kData;
  since_ = clock_.steady();
  if (watcher_) watcher_(part_);
}

void StepClock::enter(Part part) {
  account();
  part_ = part;
  if (watcher_) watcher_(part_);
}

void StepClock::end() {
  account();
  if (watcher_) watcher_(std::nullopt);
}

void StepClock::account() {
  const Clock::Steady now = clock_.steady();
  seconds_[static_cast<std::size_t>(part_)] += std::chrono::duration<double>(now - since_).count();
  since_ = now;
}

v1::StepTimes StepClock::times() const {
  v1::StepTimes times;
  times.set_data(of(Part::kData));
  times.set_forward(of(Part::kForward));
  times.set_backward(of(Part::kBackward));
  times.set_reduce(of(Part::kReduce));
  times.set_optimizer(of(Part::kOptimizer));
  return times;
}

double StepClock::before_reduce() const { return of(Part::kData) + of(Part::kForward) + of(Part::kBackward); }

const char* part_name(StepClock::Part part) {
  constexpr std::array kNames = {"data", "forward", "backward", "reduce", "optimizer"};
  return kNames[static_cast<std::size_t>(part)];
}

void RecentMean::add(double value) {
  values_.push_back(value);
  if (values_.size() > kMost) values_.pop_front();
}

double RecentMean::mean() const {
  if (values_.empty()) return 0;
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

}  // namespace mdgen::train
