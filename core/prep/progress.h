// How far a run has come and how long it will take.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/clock.h"

namespace mdgen::prep {

// Arithmetic alone. The work is counted in bytes of trajectories.
class Progress {
 public:
  Progress(std::size_t entries, std::uint64_t bytes, Clock::Steady start);

  void did(std::uint64_t bytes) { done_ += bytes; }
  // Work that need not be done: it says nothing about the speed.
  void skipped(std::uint64_t bytes) { bytes_ -= std::min(bytes, bytes_ - done_); }
  void entry_ended() { ++ended_; }

  // "12 of 1266 entries, 34 %, 3 min 20 s left". Without the time until something is known of the speed.
  std::string text(Clock::Steady now) const;

 private:
  std::size_t entries_;
  std::uint64_t bytes_;
  Clock::Steady start_;
  std::size_t ended_ = 0;
  std::uint64_t done_ = 0;
};

// "45 s", "3 min 20 s", "2 h 5 min".
std::string duration_text(std::chrono::seconds duration);

}  // namespace mdgen::prep
