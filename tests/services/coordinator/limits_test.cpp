#include "services/coordinator/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class FakeClock : public Clock {
 public:
  Steady steady() const override { return Steady(passed); }
  Wall wall() const override { return Wall(passed); }
  std::chrono::milliseconds passed{1'000'000};
};

// The text of the refusal; empty when it was allowed.
template <typename Call>
std::string refusal(Call&& call) {
  try {
    call();
    return "";
  } catch (const TooMany& error) {
    return error.what();
  }
}

TEST(RateLimit, AllowsABurstAndThenItsRate) {
  FakeClock clock;
  RateLimit limit(2.0, 3.0, clock);
  const auto take = [&](const char* who) { return refusal([&] { limit.take(who); }); };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(take("a"), "");
  EXPECT_THAT(take("a"), HasSubstr("a changes more than 2 times a second; try again in 0.50 s"));
  EXPECT_EQ(take("b"), "") << "another client has its own";
  clock.passed += 400ms;
  EXPECT_NE(take("a"), "");
  clock.passed += 100ms;
  EXPECT_EQ(take("a"), "");
  EXPECT_NE(take("a"), "");
  clock.passed += 1h;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(take("a"), "");
  EXPECT_NE(take("a"), "") << "no more than a burst is saved up";
}

TEST(RateLimit, RemembersABoundedNumberOfClients) {
  FakeClock clock;
  RateLimit limit(1.0, 2.0, clock);
  for (int i = 0; i < 4096; ++i) limit.take("client" + std::to_string(i));
  EXPECT_NE(refusal([&] { limit.take("one more"); }), "") << "all of them have just been here";
  limit.take("client7");
  clock.passed += 1s;
  limit.take("one more");
  EXPECT_EQ(limit.clients(), 2U) << "the others' buckets were full again";
}

TEST(StreamSlots, AreGivenBackAtTheirEnd) {
  StreamSlots slots(2, 3);
  const auto refused = [&](const char* who) { return refusal([&] { slots.take(who); }); };
  std::optional<StreamSlots::Slot> first = slots.take("a");
  const StreamSlots::Slot second = slots.take("a");
  EXPECT_THAT(refused("a"), HasSubstr("a has 2 streams open"));
  const StreamSlots::Slot third = slots.take("b");
  EXPECT_THAT(refused("c"), HasSubstr("3 streams are open"));
  EXPECT_EQ(slots.open(), 3);
  first.reset();
  EXPECT_EQ(slots.open(), 2);
  EXPECT_EQ(refused("a"), "");
}

}  // namespace
}  // namespace mdgen::coordinator
