#include "core/train/step_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace mdgen::train {
namespace {

using namespace std::chrono_literals;
using Part = StepClock::Part;

class TurnedClock : public Clock {
 public:
  Steady steady() const override { return now_; }
  Wall wall() const override { return {}; }
  void turn(std::chrono::milliseconds by) { now_ += by; }

 private:
  Steady now_{};
};

TEST(StepClockTest, Watcher_SeesEachPartBeginAndTheEnd) {
  TurnedClock clock;
  StepClock step(clock);
  std::vector<std::string> seen;
  step.watch([&](std::optional<Part> part) { seen.emplace_back(part ? part_name(*part) : "end"); });
  step.begin();
  step.enter(Part::kForward);
  step.enter(Part::kBackward);
  step.enter(Part::kReduce);
  step.enter(Part::kOptimizer);
  step.end();
  EXPECT_EQ(seen, (std::vector<std::string>{"data", "forward", "backward", "reduce", "optimizer", "end"}));
  step.watch({});
  step.begin();
  EXPECT_EQ(seen.size(), 6U);
}

TEST(StepClockTest, Parts_AreAddedUpAndFollowEachOther) {
  TurnedClock clock;
  StepClock step(clock);
  step.begin();
  for (int batch = 0; batch < 2; ++batch) {
    step.enter(Part::kData);
    clock.turn(10ms);
    step.enter(Part::kForward);
    clock.turn(200ms);
    step.enter(Part::kBackward);
    clock.turn(3000ms);
  }
  step.enter(Part::kReduce);
  clock.turn(50ms);
  step.enter(Part::kOptimizer);
  clock.turn(7ms);
  step.end();
  clock.turn(1000ms);
  const v1::StepTimes times = step.times();
  EXPECT_DOUBLE_EQ(times.data(), 0.02);
  EXPECT_DOUBLE_EQ(times.forward(), 0.4);
  EXPECT_DOUBLE_EQ(times.backward(), 6.0);
  EXPECT_DOUBLE_EQ(times.reduce(), 0.05);
  EXPECT_DOUBLE_EQ(times.optimizer(), 0.007);
  EXPECT_DOUBLE_EQ(step.before_reduce(), 6.42);
}

TEST(StepClockTest, Begin_ForgetsTheStepBefore) {
  TurnedClock clock;
  StepClock step(clock);
  step.begin();
  clock.turn(10ms);
  step.end();
  clock.turn(500ms);
  step.begin();
  clock.turn(30ms);
  step.end();
  EXPECT_DOUBLE_EQ(step.times().data(), 0.03);
}

TEST(RecentMeanTest, KeepsTheLastValues) {
  RecentMean mean;
  EXPECT_EQ(mean.mean(), 0);
  mean.add(1000);
  for (std::size_t i = 0; i < RecentMean::kMost; ++i) mean.add(2);
  EXPECT_DOUBLE_EQ(mean.mean(), 2);
}

}  // namespace
}  // namespace mdgen::train
