#include "core/sample/program/progress.h"

#include <gtest/gtest.h>

namespace mdgen::sample {
namespace {

class HandClock : public Clock {
 public:
  Steady steady() const override { return now; }
  Wall wall() const override { return {}; }
  Steady now{};
};

TEST(Progress, SpeaksEveryFiveSecondsOfTheTimeLeft) {
  HandClock clock;
  Progress progress(4, clock);
  clock.now += std::chrono::seconds(4);
  EXPECT_EQ(progress.report(0.5), std::nullopt);
  clock.now += std::chrono::seconds(6);
  EXPECT_EQ(progress.report(1), "1 of 4 proteins (25 %), 30 s left");
  clock.now += std::chrono::seconds(1);
  EXPECT_EQ(progress.report(1.5), std::nullopt);
  clock.now += std::chrono::seconds(100);
  EXPECT_EQ(progress.report(0), std::nullopt);
  EXPECT_EQ(progress.report(4), std::nullopt);
}

TEST(DurationText, InTwoUnits) {
  EXPECT_EQ(duration_text(45.2), "45 s");
  EXPECT_EQ(duration_text(200), "3 min 20 s");
  EXPECT_EQ(duration_text(7500), "2 h 5 min");
}

}  // namespace
}  // namespace mdgen::sample
