#include "core/train/lease.h"

#include <spdlog/spdlog.h>

#include <thread>

#include "core/train/failure.h"

namespace mdgen::train {

bool lease_valid(std::int64_t lease_until_ns, Clock::Steady now) {
  if (lease_until_ns == 0) return true;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count() <
         lease_until_ns;
}

std::chrono::milliseconds wait_for_lease(const std::atomic<std::int64_t>& lease_until_ns, const Clock& clock,
                                         const LeaseWait& options) {
  const Clock::Steady begin = clock.steady();
  if (lease_valid(lease_until_ns.load(), begin)) return {};
  spdlog::warn("the lease has ended: no further step until it is renewed (at most {} s)",
               std::chrono::duration_cast<std::chrono::seconds>(options.hold_for).count());
  while (!lease_valid(lease_until_ns.load(), clock.steady())) {
    if (clock.steady() - begin > options.hold_for) {
      throw RunFailure(
          ErrorCode::kUnavailable, "LeaseExpired",
          "the lease was not renewed for " +
              std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options.hold_for).count()) +
              " s: the coordinator cannot be reached");
    }
    if (options.interrupt) options.interrupt();
    if (options.sleep) {
      options.sleep(options.poll);
    } else {
      std::this_thread::sleep_for(options.poll);
    }
  }
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(clock.steady() - begin);
  spdlog::info("the lease was renewed after {} ms", waited.count());
  return waited;
}

}  // namespace mdgen::train
