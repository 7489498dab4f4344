#include "services/trainer/orders.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/base/error.h"

namespace mdgen::trainer {
namespace {

using std::chrono::milliseconds;

v1::AgentOrder assignment(std::int64_t generation) {
  v1::AgentOrder order;
  order.mutable_assignment()->mutable_id()->set_generation(generation);
  return order;
}

v1::AgentOrder abandon(std::int64_t generation, const std::string& reason = "a rank died") {
  v1::AgentOrder order;
  order.mutable_abandon()->mutable_id()->set_generation(generation);
  order.mutable_abandon()->set_reason(reason);
  return order;
}

v1::AgentOrder stop(bool checkpoint, bool yield) {
  v1::AgentOrder order;
  order.mutable_stop()->set_checkpoint(checkpoint);
  order.mutable_stop()->set_yield(yield);
  return order;
}

v1::AgentOrder inject(v1::FaultKind kind, double seconds, std::int64_t steps = 0) {
  v1::AgentOrder order;
  v1::Fault& fault = *order.mutable_inject()->mutable_fault();
  fault.set_kind(kind);
  fault.set_seconds(seconds);
  fault.set_steps(steps);
  return order;
}

constexpr milliseconds kLong{60'000};
constexpr milliseconds kNone{0};

TEST(Orders, Assignment_IsGivenOnceAndWakesTheRank) {
  Orders orders;
  std::thread reader([&] { orders.take(assignment(1)); });
  EXPECT_EQ(orders.next(kLong).assignment->id().generation(), 1);
  reader.join();
  orders.left();
  const Order nothing = orders.next(kNone);
  EXPECT_FALSE(nothing.assignment || nothing.stop || nothing.gone);
}

TEST(Orders, OldAssignment_IsIgnored) {
  Orders orders;
  orders.take(assignment(3));
  orders.take(assignment(2));
  EXPECT_EQ(orders.next(kNone).assignment->id().generation(), 3);
}

TEST(Orders, Abandon_BreaksTheGenerationUnderWayAlone) {
  Orders orders;
  std::string broken;
  orders.take(abandon(1));
  EXPECT_FALSE(orders.control().abandoned);
  orders.take(assignment(4));
  orders.next(kNone);
  orders.set_breaker([&](const std::string& reason) { broken += reason; });
  orders.take(abandon(3));
  EXPECT_FALSE(orders.control().abandoned);
  EXPECT_EQ(broken, "");
  orders.take(abandon(4));
  EXPECT_TRUE(orders.control().abandoned);
  EXPECT_EQ(broken, "a rank died");
  orders.set_breaker({});
  orders.left();
  orders.take(assignment(5));
  orders.next(kNone);
  EXPECT_FALSE(orders.control().abandoned);
}

TEST(Orders, AbandonBeforeTheBreaker_BreaksAtOnce) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  orders.take(abandon(1));
  std::string broken;
  orders.set_breaker([&](const std::string& reason) { broken = reason; });
  EXPECT_EQ(broken, "a rank died");
}

TEST(Orders, AbandonBeforeTheAssignmentIsTaken_HoldsWhenItIs) {
  Orders orders;
  orders.take(assignment(1));
  orders.take(abandon(1));
  orders.next(kNone);
  EXPECT_TRUE(orders.control().abandoned);
}

TEST(Orders, LaterAssignment_AbandonsTheGenerationUnderWay) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  std::string broken;
  orders.set_breaker([&](const std::string& reason) { broken = reason; });
  orders.take(assignment(2));
  EXPECT_EQ(broken, "generation 2 has come");
  orders.left();
  EXPECT_EQ(orders.next(kNone).assignment->id().generation(), 2);
  EXPECT_FALSE(orders.control().abandoned);
}

TEST(Orders, Stop_WhileWaitingEndsTheRank) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  orders.left();
  orders.take(stop(true, false));
  const Order order = orders.next(kLong);
  ASSERT_TRUE(order.stop);
  EXPECT_TRUE(order.stop->checkpoint());
}

TEST(Orders, StopThatTheGenerationDidNotObey_EndsTheRankOnceItHasLeft) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  orders.take(stop(false, false));
  EXPECT_TRUE(orders.control().stop);
  orders.take(abandon(1));
  orders.left();
  EXPECT_TRUE(orders.next(kLong).stop);
}

TEST(Orders, Yield_IsForItsGenerationAlone) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  orders.take(stop(true, true));
  EXPECT_TRUE(orders.control().stop && orders.control().stop_yield && orders.control().stop_checkpoint);
  orders.left();
  EXPECT_FALSE(orders.next(kNone).stop);
  orders.take(stop(true, true));
  orders.take(assignment(2));
  EXPECT_TRUE(orders.next(kNone).assignment);
  EXPECT_FALSE(orders.control().stop);
}

TEST(Orders, StopBetweenTheAssignmentAndItsStart_Holds) {
  Orders orders;
  orders.take(assignment(1));
  orders.take(stop(false, true));
  EXPECT_TRUE(orders.next(kNone).assignment);
  EXPECT_TRUE(orders.control().stop);
}

TEST(Orders, End_IsTold) {
  Orders orders;
  orders.end();
  EXPECT_TRUE(orders.next(kLong).gone);
}

TEST(Orders, Call_IsCancelledByAbandon) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  int cancelled = 0;
  {
    const Orders::Call call(orders, [&] { ++cancelled; });
    orders.take(abandon(1));
    EXPECT_EQ(cancelled, 1);
  }
  EXPECT_THROW(Orders::Call(orders, [] {}), Error);
}

TEST(Orders, EndOfCalls_CancelsThemAndRefusesOthers) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  int cancelled = 0;
  const Orders::Call call(orders, [&] { ++cancelled; });
  orders.end_calls();
  EXPECT_EQ(cancelled, 1);
  EXPECT_THROW(Orders::Call(orders, [] {}), Error);
}

TEST(Orders, InjectedSlowness_CountsSteps) {
  Orders orders;
  orders.take(inject(v1::FAULT_KIND_SLOW, 0.25, 3));
  EXPECT_EQ(orders.control().slow_ns, 250'000'000);
  EXPECT_EQ(orders.control().slow_steps, 3);
  orders.take(inject(v1::FAULT_KIND_SLOW, 0.5));
  EXPECT_EQ(orders.control().slow_steps, -1);
}

TEST(Orders, InjectedPartition_BreaksTheGroupAndRefusesCalls) {
  Orders orders;
  orders.take(assignment(1));
  orders.next(kNone);
  std::string broken;
  orders.set_breaker([&](const std::string& reason) { broken = reason; });
  int cancelled = 0;
  {
    const Orders::Call call(orders, [&] { ++cancelled; });
    orders.take(inject(v1::FAULT_KIND_PARTITION, 0.5));
  }
  EXPECT_EQ(cancelled, 1);
  EXPECT_EQ(broken, "injected: cut off");
  EXPECT_FALSE(orders.control().abandoned);
  try {
    const Orders::Call call(orders, [] {});
    FAIL() << "the call was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
  const Orders::Call healed(orders, [] {});
}

}  // namespace
}  // namespace mdgen::trainer
