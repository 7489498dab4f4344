#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "agent_core_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

v1::CoordinatorMessage abandon(std::int64_t generation) {
  v1::CoordinatorMessage message;
  *message.mutable_abandon()->mutable_id() = assignment(generation).id();
  message.mutable_abandon()->set_reason("rank 1 is lost");
  return message;
}

TrainerSaid left(std::int64_t applied, const std::string& reason = "Abandoned") {
  TrainerSaid said;
  said.message.mutable_left()->set_applied(applied);
  said.message.mutable_left()->set_resident(true);
  said.message.mutable_left()->set_reason(reason);
  return said;
}

class AgentGenerationsTest : public AgentCoreTest {
 protected:
  void SetUp() override {
    connect();
    run_generation(1);
  }
};

TEST_F(AgentGenerationsTest, Abandon_TrainerLeaves_TakesTheNextAssignmentInTheSameProcess) {
  EXPECT_EQ(tell(abandon(1)), "tell-abandon1");
  EXPECT_EQ(tell(left(7)), "left1");
  EXPECT_EQ(tell(start(2)), "tell-assignment2");
  EXPECT_EQ(tell(start(2)), "") << "it has that one";
  EXPECT_EQ(tell(abandon(1)), "") << "that is over";
  EXPECT_EQ(tell(stop(2, false)), "tell-stop");
}

TEST_F(AgentGenerationsTest, Left_ByItself_IsPassedOnAsItIs) {
  const auto actions = core_.handle(left(7, "CollectiveFailed"), now_);
  ASSERT_EQ(words(actions), "left1");
  const v1::TrainerEvent& event = std::get<Send>(actions.front()).message.trainer();
  EXPECT_EQ(event.left().applied(), 7);
  EXPECT_TRUE(event.left().resident());
  EXPECT_EQ(event.left().reason(), "CollectiveFailed");
  EXPECT_EQ(event.rank(), 0);
}

TEST_F(AgentGenerationsTest, Beat_WhileTheTrainerWaits_SaysSo) {
  tell(left(7));
  now_ += 1s;
  const auto actions = core_.handle(Tick{}, now_);
  ASSERT_EQ(words(actions), "beat");
  EXPECT_EQ(std::get<Send>(actions.front()).message.beat().phase(), v1::TRAINER_PHASE_WAIT);
}

TEST_F(AgentGenerationsTest, Left_IsRepeatedAfterEachReconnectWhileTheTrainerWaits) {
  tell(left(7));
  for (int i = 0; i < 2; ++i) {
    tell(LinkDown{});
    EXPECT_EQ(tick(5000ms), "open1") << "it still runs";
    EXPECT_EQ(welcome(), "up left1");
  }
  EXPECT_EQ(tell(abandon(1)), "left1") << "asked again, it says so again";
  tell(start(2));
  tell(LinkDown{});
  tick(5000ms);
  EXPECT_EQ(welcome(), "up");
}

TEST_F(AgentGenerationsTest, Start_TrainerHasNotLeft_IsHeldUntilItHas) {
  EXPECT_EQ(tell(start(2)), "tell-abandon1");
  EXPECT_EQ(tell(start(3)), "") << "it is leaving already";
  EXPECT_EQ(tell(left(7)), "left1 tell-assignment3");
}

TEST_F(AgentGenerationsTest, Start_TrainerDiesInPlaceOfLeaving_IsSpawned) {
  tell(start(2));
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 spawn2");
}

TEST_F(AgentGenerationsTest, Start_TrainerIsBeingKilled_IsSpawnedAfterItsDeath) {
  EXPECT_EQ(tell(stop(1, true)), "kill");
  EXPECT_EQ(tell(start(2)), "");
  EXPECT_EQ(tell(left(7)), "left1") << "it is told nothing any more";
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 spawn2");
}

TEST_F(AgentGenerationsTest, Start_OfAnotherJob_KillsEvenATrainerThatWaits) {
  tell(left(7));
  EXPECT_EQ(tell(start(1, "other")), "kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 spawn1");
}

TEST_F(AgentGenerationsTest, Start_TrainerHasDiedAfterLeaving_SpawnsAnother) {
  tell(left(7));
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1");
  EXPECT_EQ(tell(abandon(1)), "exited1") << "its end answers";
  EXPECT_EQ(tell(start(2)), "spawn2");
}

TEST_F(AgentGenerationsTest, Abandon_OfAHeldAssignment_IsReportedWhenTheTrainerHasLeft) {
  tell(start(2));
  EXPECT_EQ(tell(abandon(2)), "");
  EXPECT_EQ(tell(left(7)), "left1 left2");
  EXPECT_EQ(tell(start(3)), "tell-assignment3");
}

TEST_F(AgentGenerationsTest, Abandon_OfAHeldAssignment_IsOverWhenTheTrainerDies) {
  tell(start(2));
  tell(abandon(2));
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 exited2");
}

TEST_F(AgentGenerationsTest, StopKill_OfAHeldAssignment_EndsTheProcessToo) {
  tell(start(2));
  EXPECT_EQ(tell(stop(2, true)), "exited2 kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1");
}

TEST_F(AgentGenerationsTest, StopKill_OfAStoppedProcessThatHasLeft_IsConfirmedByItsExit) {
  tell(left(7));
  EXPECT_EQ(tell(stop(1, true)), "kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1");
}

TEST_F(AgentGenerationsTest, Stop_TrainerWaits_ReachesIt) {
  tell(left(7));
  EXPECT_EQ(tell(stop(1, false)), "tell-stop");
}

TEST_F(AgentCoreTest, Abandon_BeforeHello_LeavesAtOnceAndKeepsTheProcess) {
  connect();
  tell(start(1));
  EXPECT_EQ(tell(abandon(1)), "left1");
  EXPECT_EQ(tell(TrainerSaid{hello()}), "") << "it is told nothing of what is over";
  EXPECT_EQ(tell(start(2)), "tell-assignment2");
}

TEST_F(AgentCoreTest, Start_BeforeHello_TakesThePlaceOfTheOlderOne) {
  connect();
  tell(start(1));
  EXPECT_EQ(tell(start(2)), "left1");
  EXPECT_EQ(tell(stop(2, false)), "");
  EXPECT_EQ(tell(TrainerSaid{hello()}), "tell-assignment2 tell-stop");
}

std::int64_t silent_ms(AgentCore& core, Clock::Steady now) {
  const auto actions = core.handle(Tick{}, now);
  return actions.empty() ? -1 : std::get<Send>(actions.back()).message.beat().trainer_silent_ms();
}

TEST_F(AgentCoreTest, Beat_TellsHowLongTheTrainerIsSilent) {
  connect();
  tell(start(1));
  EXPECT_EQ(silent_ms(core_, now_ += 1s), 0) << "it has not said hello: it is starting";
  tell(TrainerSaid{hello()});
  for (int second = 1; second <= 6; ++second) EXPECT_EQ(silent_ms(core_, now_ += 1s), second * 1000);
  v1::TrainerMessage said;
  said.mutable_beat()->set_phase(v1::TRAINER_PHASE_COMPUTE);
  tell(TrainerSaid{said});
  EXPECT_EQ(silent_ms(core_, now_ += 1s), 1000);
}

TEST_F(AgentCoreTest, Beat_AfterTheAgentItselfWasStopped_DoesNotBlameTheTrainer) {
  connect();
  run_generation(1);
  EXPECT_EQ(silent_ms(core_, now_ += 1s), 1000);
  EXPECT_EQ(silent_ms(core_, now_ += 60s), 1000);
}

}  // namespace
}  // namespace mdgen::worker
