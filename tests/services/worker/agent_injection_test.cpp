#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <string>

#include "agent_core_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

v1::CoordinatorMessage inject(v1::FaultKind kind, double seconds = 0, std::int64_t generation = 1) {
  v1::CoordinatorMessage message;
  *message.mutable_inject()->mutable_id() = assignment(generation).id();
  message.mutable_inject()->mutable_fault()->set_kind(kind);
  message.mutable_inject()->mutable_fault()->set_seconds(seconds);
  return message;
}

const std::string kKill = "signal" + std::to_string(SIGKILL);
const std::string kHalt = "signal" + std::to_string(SIGSTOP);
const std::string kContinue = "signal" + std::to_string(SIGCONT);

class AgentInjectionTest : public AgentCoreTest {
 protected:
  void SetUp() override {
    connect();
    run_generation(1);
  }
};

TEST_F(AgentInjectionTest, Kill_CountsAsTheTrainersOwnEnd) {
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_KILL)), kKill);
  EXPECT_EQ(tell(stop(1, true)), "kill") << "not known to be dying";
}

TEST_F(AgentInjectionTest, Hang_StopsForGood) {
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_HANG)), kHalt);
  for (int second = 0; second < 100; ++second) EXPECT_EQ(tick(1000ms), "beat");
  EXPECT_EQ(tell(stop(1, true)), "kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1");
}

TEST_F(AgentInjectionTest, Hang_ForAWhile_GoesOnAfterwards) {
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_HANG, 0.5)), kHalt);
  EXPECT_EQ(core_.wake_at(), now_ + 500ms);
  EXPECT_EQ(tick(499ms), "");
  EXPECT_EQ(tick(1ms), kContinue);
  EXPECT_EQ(tick(1ms), "");
}

TEST_F(AgentInjectionTest, Hang_KilledMeanwhile_IsNotContinued) {
  tell(inject(v1::FAULT_KIND_HANG, 5));
  EXPECT_EQ(tell(stop(1, true)), "kill");
  EXPECT_EQ(tick(5000ms), "beat");
}

TEST_F(AgentInjectionTest, Slow_IsTheTrainersOwnDoing) {
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_SLOW, 0.2)), "tell-inject");
}

TEST_F(AgentInjectionTest, Partition_CutsBothAndComesBackAfterwards) {
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_PARTITION, 8)), "tell-inject cut-link");
  EXPECT_EQ(tell(LinkDown{LinkLoss::kUnreachable, "cut"}), "");
  EXPECT_EQ(tick(7999ms), "");
  EXPECT_EQ(tick(1ms), "open1");
  tell(LinkDown{LinkLoss::kUnreachable, "still starting"});
  EXPECT_EQ(tick(200ms), "open1") << "the cut is over";
}

TEST_F(AgentInjectionTest, CorruptCheckpoint_IsDoneInTheRunFolder) {
  v1::Assignment next = assignment(2);
  next.set_run_folder("/runs/a");
  v1::TrainerMessage said;
  said.mutable_left();
  tell(TrainerSaid{said});
  v1::CoordinatorMessage message;
  *message.mutable_start() = next;
  tell(message);
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_CORRUPT_CHECKPOINT, 0, 2)), "corrupt:/runs/a");
}

TEST_F(AgentInjectionTest, OfAnotherGeneration_IsNotDone) {
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_KILL, 0, 2)), "");
  EXPECT_EQ(tell(inject(v1::FAULT_KIND_UNSPECIFIED)), "");
}

}  // namespace
}  // namespace mdgen::worker
