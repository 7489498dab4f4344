// A rank past its lease starts no optimizer step: another generation may own the run by then.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "core/base/clock.h"

namespace mdgen::train {

// `lease_until_ns` on the clock's steady scale; 0: no lease.
bool lease_valid(std::int64_t lease_until_ns, Clock::Steady now);

struct LeaseWait {
  std::chrono::milliseconds poll{50};
  std::chrono::milliseconds hold_for{1'800'000};
  std::function<void(std::chrono::milliseconds)> sleep;  // this thread's, unless a test brings its own
  std::function<void()> interrupt;                       // asked before each; may throw, which ends the wait
};

// Returns when the lease is valid, at once if it is. Throws RunFailure(LeaseExpired) after waiting for
// hold_for. Returns how long it waited.
std::chrono::milliseconds wait_for_lease(const std::atomic<std::int64_t>& lease_until_ns, const Clock& clock,
                                         const LeaseWait& options = {});

}  // namespace mdgen::train
