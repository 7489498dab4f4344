#include "core/train/lease.h"

#include <gtest/gtest.h>

#include "core/train/failure.h"

namespace mdgen::train {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

class FakeClock : public Clock {
 public:
  Steady steady() const override { return now; }
  Wall wall() const override { return {}; }
  Steady now = Steady(std::chrono::hours(1));
};

std::int64_t nanoseconds(Clock::Steady time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

TEST(LeaseValid, ZeroMeansNoLease) {
  const FakeClock clock;
  EXPECT_TRUE(lease_valid(0, clock.now));
  EXPECT_TRUE(lease_valid(nanoseconds(clock.now) + 1, clock.now));
  EXPECT_FALSE(lease_valid(nanoseconds(clock.now), clock.now));
}

TEST(WaitForLease, Valid_DoesNotSleep) {
  const FakeClock clock;
  const std::atomic<std::int64_t> until{0};
  int sleeps = 0;
  LeaseWait options;
  options.sleep = [&](milliseconds) { ++sleeps; };
  EXPECT_EQ(wait_for_lease(until, clock, options), milliseconds(0));
  EXPECT_EQ(sleeps, 0);
}

TEST(WaitForLease, Renewed_GoesOnAndSaysHowLongItWaited) {
  FakeClock clock;
  std::atomic<std::int64_t> until{1};
  LeaseWait options;
  options.sleep = [&](milliseconds time) {
    clock.now += time;
    if (clock.now >= Clock::Steady(std::chrono::hours(1)) + milliseconds(200)) {
      until = nanoseconds(clock.now + minutes(10));
    }
  };
  EXPECT_EQ(wait_for_lease(until, clock, options), milliseconds(200));
}

TEST(WaitForLease, NeverRenewed_FailsAfterTheBound) {
  FakeClock clock;
  const std::atomic<std::int64_t> until{1};
  LeaseWait options;
  options.sleep = [&](milliseconds time) { clock.now += time; };
  try {
    wait_for_lease(until, clock, options);
    FAIL() << "nothing was thrown";
  } catch (const RunFailure& failure) {
    EXPECT_EQ(failure.reason(), "LeaseExpired");
    EXPECT_EQ(failure.code(), ErrorCode::kUnavailable);
  }
  EXPECT_GT(clock.now, Clock::Steady(std::chrono::hours(1)) + minutes(30));
}

}  // namespace
}  // namespace mdgen::train
