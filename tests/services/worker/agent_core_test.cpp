#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "agent_core_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

TEST_F(AgentCoreTest, Tick_AtStart_OpensTheLinkOnce) {
  EXPECT_EQ(tick(0ms), "open0");
  EXPECT_EQ(tick(10ms), "");
}

TEST_F(AgentCoreTest, Tick_Registered_BeatsEachInterval) {
  tick(0ms);
  EXPECT_EQ(welcome(), "up-first");
  EXPECT_EQ(tick(999ms), "");
  EXPECT_EQ(core_.wake_at(), now_ + 1ms);
  EXPECT_EQ(tick(1ms), "beat");
}

TEST_F(AgentCoreTest, LinkDown_Unreachable_TriesAgainWithGrowingPauses) {
  tick(0ms);
  std::vector<int> pauses;
  for (int i = 0; i < 7; ++i) {
    tell(LinkDown{LinkLoss::kUnreachable, "gone"});
    int pause = 0;
    while (tick(50ms) != "open0") pause += 50;
    pauses.push_back(pause + 50);
  }
  EXPECT_EQ(pauses, (std::vector<int>{100, 200, 400, 800, 1600, 2000, 2000}));
}

TEST_F(AgentCoreTest, Tick_NeverRegisteredWithinTimeout_LeavesWithOne) {
  tick(0ms);
  tell(LinkDown{LinkLoss::kSlotTaken, "taken"});
  EXPECT_EQ(tick(30000ms), "leave1");
}

TEST_F(AgentCoreTest, Tick_CoordinatorAwayForTooLong_LeavesWithOneWhenAskedTo) {
  AgentCore core({.give_up_after = 5000ms}, now_);
  core.handle(Tick{}, now_);
  v1::CoordinatorMessage message;
  message.mutable_welcome();
  core.handle(Ordered{message}, now_);
  core.handle(LinkDown{}, now_ + 1000ms);
  EXPECT_EQ(words(core.handle(Tick{}, now_ + 5999ms)), "open0");
  EXPECT_EQ(words(core.handle(Tick{}, now_ + 6000ms)), "leave1");
}

TEST_F(AgentCoreTest, LinkDown_RefusedAtFirst_LeavesWithOne) {
  tick(0ms);
  EXPECT_EQ(tell(LinkDown{LinkLoss::kRefused, "no"}), "leave1");
}

TEST_F(AgentCoreTest, LinkDown_WhileTraining_KeepsTheTrainerAndSaysSoLater) {
  tick(0ms);
  welcome();
  run_generation(3);
  EXPECT_EQ(tell(LinkDown{LinkLoss::kUnreachable, "gone"}), "");
  EXPECT_EQ(tick(40000ms), "open1");
  EXPECT_EQ(welcome(2), "up");
}

TEST_F(AgentCoreTest, Welcome_LowerEpoch_AbandonsTheLink) {
  tick(0ms);
  welcome(5);
  tell(LinkDown{});
  tick(100ms);
  EXPECT_EQ(welcome(4), "abandon-link");
  tell(LinkDown{});
  EXPECT_EQ(tick(2000ms), "open0");
  EXPECT_EQ(welcome(5), "up");
}

TEST_F(AgentCoreTest, LinkDown_Superseded_KillsAndComesBackAsAnother) {
  tick(0ms);
  welcome();
  run_generation(1);
  EXPECT_EQ(tell(LinkDown{LinkLoss::kSuperseded, "stale"}), "kill");
  EXPECT_EQ(tick(100ms), "open0!");
}

TEST_F(AgentCoreTest, Start_OlderOrTheSame_IsIgnored) {
  tick(0ms);
  welcome();
  run_generation(2);
  EXPECT_EQ(tell(start(1)), "");
  EXPECT_EQ(tell(start(2)), "");
}

TEST_F(AgentCoreTest, Stop_BeforeHello_ReachesTheTrainerAfterItsAssignment) {
  tick(0ms);
  welcome();
  tell(start(1));
  EXPECT_EQ(tell(stop(1, false)), "");
  EXPECT_EQ(tell(TrainerSaid{hello()}), "tell-assignment1 tell-stop");
}

TEST_F(AgentCoreTest, ATrainerOfAnotherVersion_IsNotUsedAndEndsTheAgent) {
  core_ = AgentCore{AgentCore::Config{.version = "0.3.0", .boot_time = [this] { return boot_; }}, now_};
  connect();
  tell(start(1));
  v1::TrainerMessage other = hello();
  other.mutable_hello()->set_version("0.2.9");
  EXPECT_EQ(tell(TrainerSaid{other}), "goodbye kill");
  const auto actions = core_.handle(TrainerExited{killed()}, now_);
  EXPECT_EQ(std::get<Leave>(actions.back()).status, 78);
}

TEST_F(AgentCoreTest, ATrainerOfTheSameVersion_GetsItsAssignment) {
  core_ = AgentCore{AgentCore::Config{.version = "0.3.0", .boot_time = [this] { return boot_; }}, now_};
  connect();
  tell(start(1));
  v1::TrainerMessage same = hello();
  same.mutable_hello()->set_version("0.3.0");
  EXPECT_EQ(tell(TrainerSaid{same}), "tell-assignment1");
}

TEST_F(AgentCoreTest, Stop_OfAnotherGeneration_IsIgnored) {
  tick(0ms);
  welcome();
  run_generation(2);
  EXPECT_EQ(tell(stop(1, false)), "");
  EXPECT_EQ(tell(stop(1, true)), "");
}

TEST_F(AgentCoreTest, StopKill_KillsOnce) {
  tick(0ms);
  welcome();
  run_generation(2);
  EXPECT_EQ(tell(stop(2, true)), "kill");
  EXPECT_EQ(tell(stop(2, true)), "");
}

TEST_F(AgentCoreTest, StopKill_AfterTheExit_ReportsItAgain) {
  tick(0ms);
  welcome();
  run_generation(2);
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited2");
  EXPECT_EQ(tell(stop(2, true)), "exited2");
}

TEST_F(AgentCoreTest, TrainerExited_BeforeItsStreamEnds_IsReportedAfterItsLastWords) {
  tick(0ms);
  welcome();
  run_generation(1);
  EXPECT_EQ(tell(TrainerExited{killed()}), "");
  v1::TrainerMessage finished;
  finished.mutable_finished();
  EXPECT_EQ(tell(TrainerSaid{finished}), "finished1");
  EXPECT_EQ(tell(TrainerStreamEnded{}), "exited1");
}

TEST_F(AgentCoreTest, TrainerExited_StreamNeverEnds_IsReportedInTheEnd) {
  tick(0ms);
  welcome();
  run_generation(1);
  tell(TrainerExited{killed()});
  tell(LinkDown{});
  tick(100ms);
  EXPECT_EQ(tick(1899ms), "");
  EXPECT_EQ(tick(1ms), "exited1");
}

TEST_F(AgentCoreTest, TrainerSaidFinished_DoesNotLeave_IsKilled) {
  tick(0ms);
  run_generation(1);
  v1::TrainerMessage finished;
  finished.mutable_finished();
  tell(TrainerSaid{finished});
  EXPECT_EQ(tick(19999ms), "");
  EXPECT_EQ(tick(1ms), "kill");
}

TEST_F(AgentCoreTest, SpawnFailed_ReportsFailureAndExit) {
  tick(0ms);
  welcome();
  tell(start(1));
  EXPECT_EQ(tell(SpawnFailed{"no such file"}), "finished1 exited1");
}

TEST_F(AgentCoreTest, Beat_CarriesTheTrainersPhase) {
  tick(0ms);
  welcome();
  run_generation(1);
  v1::TrainerMessage said;
  said.mutable_beat()->set_phase(v1::TRAINER_PHASE_REDUCE);
  said.mutable_beat()->set_step(7);
  said.mutable_beat()->set_entered_reduce(true);
  said.mutable_beat()->set_compute_seconds(0.25);
  tell(TrainerSaid{said});
  now_ += 1s;
  const auto actions = core_.handle(Tick{}, now_);
  ASSERT_EQ(words(actions), "beat");
  const v1::Beat& beat = std::get<Send>(actions.front()).message.beat();
  EXPECT_EQ(beat.phase(), v1::TRAINER_PHASE_REDUCE);
  EXPECT_EQ(beat.step(), 7);
  EXPECT_TRUE(beat.entered_reduce());
  EXPECT_EQ(beat.compute_seconds(), 0.25);
}

}  // namespace
}  // namespace mdgen::worker
