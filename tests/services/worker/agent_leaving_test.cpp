#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "agent_core_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TrainerSaid left(bool agreed, bool checkpointed) {
  TrainerSaid said;
  said.message.mutable_left()->set_applied(9);
  said.message.mutable_left()->set_resident(true);
  said.message.mutable_left()->set_agreed(agreed);
  said.message.mutable_left()->set_checkpointed(checkpointed);
  return said;
}

const StopRequested kStop{"SIGTERM", false};

class AgentLeavingTest : public AgentCoreTest {
 protected:
  void SetUp() override {
    connect();
    run_generation(1);
  }
};

TEST_F(AgentLeavingTest, StopRequested_DrainsAndLeavesWhenTheTrainerHasLeft) {
  EXPECT_EQ(tell(kStop), "draining tell-yield");
  EXPECT_EQ(tell(left(true, true)), "left1 goodbye kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 leave0");
}

TEST_F(AgentLeavingTest, Draining_SaysWhyAndHowLong) {
  const auto actions = core_.handle(kStop, now_);
  const v1::Draining& draining = std::get<Send>(actions.front()).message.draining();
  EXPECT_EQ(draining.reason(), "SIGTERM");
  EXPECT_EQ(draining.deadline_ms(), 60000);
  const v1::StopOrder& order = std::get<Tell>(actions.back()).order.stop();
  EXPECT_TRUE(order.checkpoint());
  EXPECT_TRUE(order.yield());
}

TEST_F(AgentLeavingTest, Draining_TrainerCompletes_LeavesAfterItsExit) {
  tell(kStop);
  v1::TrainerMessage finished;
  finished.mutable_finished();
  EXPECT_EQ(tell(TrainerSaid{finished}), "finished1");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{v1::ProcessExit()}), "exited1 goodbye leave0");
}

TEST_F(AgentLeavingTest, Draining_TrainerLeftWithoutACheckpoint_WritesItFirst) {
  tell(kStop);
  EXPECT_EQ(tell(left(false, false)), "left1 tell-stop");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{v1::ProcessExit()}), "exited1 goodbye leave0");
}

TEST_F(AgentLeavingTest, StopRequested_TrainerWaitsAlready_WritesWhatItHolds) {
  tell(left(false, false));
  EXPECT_EQ(tell(kStop), "draining tell-stop");
}

TEST_F(AgentLeavingTest, StopRequested_TrainerWaitsAndIsSaved_LeavesAtOnce) {
  tell(left(true, true));
  EXPECT_EQ(tell(kStop), "draining goodbye kill");
}

TEST_F(AgentLeavingTest, StopRequested_Twice_LeavesAtOnce) {
  tell(kStop);
  EXPECT_EQ(tell(kStop), "goodbye kill");
  EXPECT_EQ(tell(kStop), "");
}

TEST_F(AgentLeavingTest, StopRequested_AtOnce_DoesNotDrain) {
  EXPECT_EQ(tell(StopRequested{"over", true}), "goodbye kill");
}

TEST_F(AgentLeavingTest, Draining_Deadline_LeavesAllTheSame) {
  tell(kStop);
  EXPECT_EQ(tick(59999ms), "beat");
  EXPECT_EQ(core_.wake_at(), now_ + 1ms);
  EXPECT_EQ(tick(1ms), "goodbye kill");
}

TEST_F(AgentLeavingTest, Draining_TakesNoMoreWork) {
  tell(kStop);
  EXPECT_EQ(tell(start(2)), "exited2");
  EXPECT_EQ(tell(start(1, "other")), "exited1");
}

TEST_F(AgentLeavingTest, Draining_AnAssignmentThatWaitsForTheTrainer_IsToldToBeOver) {
  EXPECT_EQ(tell(start(2)), "tell-abandon1");
  EXPECT_EQ(tell(kStop), "exited2 draining tell-yield");
}

TEST_F(AgentLeavingTest, Draining_WithoutTheCoordinator_WorksToo) {
  tell(LinkDown{});
  EXPECT_EQ(tell(kStop), "tell-yield");
  EXPECT_EQ(tell(left(true, true)), "left1 kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 leave0");
}

TEST_F(AgentLeavingTest, Draining_IsRepeatedWithTheTimeThatIsLeftAfterAReconnect) {
  tell(kStop);
  tell(LinkDown{});
  EXPECT_EQ(tick(10000ms), "open1");
  v1::CoordinatorMessage message;
  message.mutable_welcome()->set_epoch(1);
  const auto actions = core_.handle(Ordered{message}, now_);
  ASSERT_EQ(words(actions), "up draining");
  EXPECT_EQ(std::get<Send>(actions.back()).message.draining().deadline_ms(), 50000);
}

TEST_F(AgentLeavingTest, Draining_TrainerDiesOrIsKilled_Leaves) {
  tell(kStop);
  EXPECT_EQ(tell(stop(1, true)), "kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 goodbye leave0");
}

TEST_F(AgentLeavingTest, DrainOrder_IsAsAStop) {
  v1::CoordinatorMessage message;
  message.mutable_drain()->set_reason("it is drained by kim");
  const auto actions = core_.handle(Ordered{message}, now_);
  ASSERT_EQ(words(actions), "draining tell-yield");
  EXPECT_EQ(std::get<Send>(actions.front()).message.draining().reason(), "it is drained by kim");
  EXPECT_EQ(tell(message), "") << "repeated, it hurries nobody";
  EXPECT_EQ(tell(left(true, true)), "left1 goodbye kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 leave0");
}

TEST_F(AgentLeavingTest, Shutdown_WhileTraining_LeavesWithZeroAfterTheTrainersDeath) {
  v1::CoordinatorMessage message;
  message.mutable_shutdown();
  EXPECT_EQ(tell(message), "goodbye kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 leave0");
}

TEST_F(AgentLeavingTest, Leaving_TrainerDoesNotDie_LeavesAllTheSame) {
  tell(StopRequested{"over", true});
  EXPECT_EQ(core_.wake_at(), now_ + 2s);
  EXPECT_EQ(tick(2000ms), "leave0");
}

TEST_F(AgentCoreTest, StopRequested_Idle_LeavesAtOnce) {
  connect();
  EXPECT_EQ(tell(kStop), "goodbye leave0");
}

TEST_F(AgentCoreTest, StopRequested_TrainerIsStillStarting_LeavesAtOnce) {
  connect();
  tell(start(1));
  EXPECT_EQ(tell(kStop), "draining goodbye kill");
}

}  // namespace
}  // namespace mdgen::worker
