// A lease that lay in a queue gives no time that has gone by.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "agent_core_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

class AgentLeaseTest : public AgentCoreTest {
 protected:
  void SetUp() override { connect(); }
  // The clock goes on by this; returns the number of the beat that went out, 0 without one.
  std::int64_t beat_after(std::chrono::milliseconds time) {
    boot_ += time;
    now_ += time;
    for (const Action& action : core_.handle(Tick{}, now_)) {
      const Send* send = std::get_if<Send>(&action);
      if (send != nullptr && send->message.has_beat()) return send->message.beat().number();
    }
    return 0;
  }
  // The duration that the trainer is told.
  std::optional<std::int64_t> told(const v1::CoordinatorMessage& message) {
    return told_in(core_.handle(Ordered{message}, now_));
  }
  static std::optional<std::int64_t> told_in(const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      const Tell* tell = std::get_if<Tell>(&action);
      if (tell != nullptr && tell->order.has_lease()) return tell->order.lease().duration_ms();
      if (tell != nullptr && tell->order.has_assignment())
        return tell->order.assignment().lease().duration_ms();
    }
    return std::nullopt;
  }
  static v1::CoordinatorMessage renewal(std::int64_t beat) {
    v1::CoordinatorMessage message;
    *message.mutable_lease()->mutable_id() = assignment(1).id();
    message.mutable_lease()->mutable_lease()->set_duration_ms(600'000);
    message.set_beat(beat);
    return message;
  }
};

TEST_F(AgentLeaseTest, Renewal_CountsFromTheBeatThatItNames) {
  run_generation(1);
  const std::int64_t first = beat_after(1s);
  const std::int64_t second = beat_after(1s);
  EXPECT_EQ(second, first + 1);
  beat_after(1s);
  EXPECT_EQ(told(renewal(second)), 599'000);
}

TEST_F(AgentLeaseTest, Renewal_ThatLayInAQueueUntilItWasOver_IsRefused) {
  run_generation(1);
  const std::int64_t beat = beat_after(1s);
  boot_ += 700s;  // the agent is stopped, or its host sleeps
  EXPECT_EQ(told(renewal(beat)), std::nullopt);
}

TEST_F(AgentLeaseTest, Renewal_OfAnotherStreamsBeat_IsRefused) {
  run_generation(1);
  const std::int64_t beat = beat_after(1s);
  tell(LinkDown{});
  tick(10s);
  welcome();
  EXPECT_EQ(told(renewal(beat)), std::nullopt);
  EXPECT_EQ(told(renewal(beat + 100)), std::nullopt);
}

TEST_F(AgentLeaseTest, Renewal_BeforeAnyBeat_CountsFromTheRegistration) {
  run_generation(1);
  boot_ += 2s;
  EXPECT_EQ(told(renewal(0)), 598'000);
}

TEST_F(AgentLeaseTest, Assignment_TellsWhatIsLeftWhenTheTrainerIsThere) {
  v1::CoordinatorMessage message = start(1);
  message.mutable_start()->mutable_lease()->set_duration_ms(600'000);
  message.set_beat(beat_after(1s));
  boot_ += 2s;
  EXPECT_EQ(tell(message), "spawn1");
  boot_ += 3s;
  EXPECT_EQ(told_in(core_.handle(TrainerSaid{hello()}, now_)), 595'000);
}

TEST_F(AgentLeaseTest, RenewalBeforeTheTrainerIsThere_GoesWithItsAssignment) {
  v1::CoordinatorMessage message = start(1);
  message.mutable_start()->mutable_lease()->set_duration_ms(600'000);
  EXPECT_EQ(tell(message), "spawn1");
  EXPECT_EQ(told(renewal(beat_after(100s))), std::nullopt);
  EXPECT_EQ(told_in(core_.handle(TrainerSaid{hello()}, now_)), 600'000);
}

TEST_F(AgentLeaseTest, Assignment_WhoseLeaseIsOver_IsNotStarted) {
  v1::CoordinatorMessage message = start(1);
  message.mutable_start()->mutable_lease()->set_duration_ms(600'000);
  message.set_beat(beat_after(1s));
  boot_ += 700s;
  EXPECT_EQ(tell(message), "exited1");
}

}  // namespace
}  // namespace mdgen::worker
