// When the agent's beats went out, so that a lease counts from then.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>

namespace mdgen::worker {

// What the coordinator sends names the last beat that it had taken. The grant is younger than that beat,
// however long its message lay in a queue or this process was stopped: a lease that counts from the beat
// never outlasts what the coordinator waits for. Times are the host's, of a clock that runs while it sleeps
// (CLOCK_BOOTTIME). Not thread-safe.
class BeatTimes {
 public:
  using Time = std::chrono::nanoseconds;

  // A new stream: the coordinator has taken no beat of it.
  void registering(Time now);
  // The number of the beat that goes out now.
  std::int64_t sent(Time now);
  // Until when a lease that came with `beat` (0: none was taken) runs. For a beat that is not this stream's
  // it has ended.
  Time end_of(std::chrono::milliseconds lease, std::int64_t beat);

 private:
  Time registered_{};
  std::int64_t last_ = 0;
  std::deque<std::pair<std::int64_t, Time>> beats_;  // from the last one that was named
};

// CLOCK_BOOTTIME.
std::chrono::nanoseconds boot_time();

}  // namespace mdgen::worker
