// Time as an argument: what decides by time takes a Clock, so that tests turn the hands.
#pragma once

#include <chrono>

namespace mdgen {

class Clock {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  using Wall = std::chrono::system_clock::time_point;

  virtual ~Clock() = default;
  virtual Steady steady() const = 0;  // for durations and liveness
  virtual Wall wall() const = 0;      // for people
};

class SystemClock : public Clock {
 public:
  Steady steady() const override { return std::chrono::steady_clock::now(); }
  Wall wall() const override { return std::chrono::system_clock::now(); }
};

}  // namespace mdgen
