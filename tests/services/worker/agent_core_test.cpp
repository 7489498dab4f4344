#include "services/worker/agent_core.h"

#include <gtest/gtest.h>

#include <csignal>
#include <string>

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;

v1::Assignment assignment(std::int64_t generation, const std::string& job = "j") {
  v1::Assignment result;
  result.mutable_id()->set_job_id(job);
  result.mutable_id()->set_generation(generation);
  result.set_world_size(1);
  return result;
}

v1::CoordinatorMessage start(std::int64_t generation, const std::string& job = "j") {
  v1::CoordinatorMessage message;
  *message.mutable_start() = assignment(generation, job);
  return message;
}

v1::CoordinatorMessage stop(std::int64_t generation, bool kill) {
  v1::CoordinatorMessage message;
  *message.mutable_stop()->mutable_id() = assignment(generation).id();
  message.mutable_stop()->set_kill(kill);
  message.mutable_stop()->mutable_order()->set_checkpoint(true);
  return message;
}

v1::TrainerMessage hello() {
  v1::TrainerMessage message;
  message.mutable_hello();
  return message;
}

v1::ProcessExit killed() {
  v1::ProcessExit exit;
  exit.set_signal(SIGKILL);
  return exit;
}

// What was decided, as words.
std::string words(const std::vector<Action>& actions) {
  struct Word {
    std::string operator()(const OpenLink& open) {
      return "open" + std::to_string(open.running.size()) + (open.new_incarnation ? "!" : "");
    }
    std::string operator()(const AbandonLink&) { return "abandon"; }
    std::string operator()(const LinkUp& up) { return up.first ? "up-first" : "up"; }
    std::string operator()(const Spawn& spawn) {
      return "spawn" + std::to_string(spawn.assignment.id().generation());
    }
    std::string operator()(const KillTrainer&) { return "kill"; }
    std::string operator()(const Examine& examine) {
      return "examine" + std::to_string(examine.task.attempt());
    }
    std::string operator()(const StopExamination&) { return "stop-examination"; }
    std::string operator()(const Leave& leave) { return "leave" + std::to_string(leave.status); }
    std::string operator()(const Tell& tell) {
      return tell.order.has_assignment() ? "tell-assignment"
             : tell.order.has_stop()     ? "tell-stop"
                                         : "tell-lease";
    }
    std::string operator()(const Send& send) {
      const v1::AgentMessage& message = send.message;
      if (message.has_beat()) return "beat";
      if (message.has_goodbye()) return "goodbye";
      if (message.has_preflight()) return "preflight" + std::to_string(message.preflight().attempt());
      return (message.trainer().has_exited()     ? "exited"
              : message.trainer().has_finished() ? "finished"
                                                 : "report") +
             std::to_string(message.trainer().id().generation());
    }
  };
  std::string result;
  for (const Action& action : actions) result += (result.empty() ? "" : " ") + std::visit(Word{}, action);
  return result;
}

class AgentCoreTest : public ::testing::Test {
 protected:
  std::string tell(const Event& event) { return words(core_.handle(event, now_)); }
  std::string tell(const v1::CoordinatorMessage& message) { return tell(Ordered{message}); }
  std::string tick(std::chrono::milliseconds later) {
    now_ += later;
    return tell(Tick{});
  }
  std::string welcome(std::int64_t epoch = 1) {
    v1::CoordinatorMessage message;
    message.mutable_welcome()->set_epoch(epoch);
    return tell(message);
  }
  void run_generation(std::int64_t generation) {
    ASSERT_EQ(tell(start(generation)), "spawn" + std::to_string(generation));
    ASSERT_EQ(tell(TrainerSaid{hello()}), "tell-assignment");
  }

  Clock::Steady now_{};
  AgentCore core_{AgentCore::Config{}, now_};
};

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
  EXPECT_EQ(welcome(4), "abandon");
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

TEST_F(AgentCoreTest, Start_Newer_WaitsForTheOldTrainersDeath) {
  tick(0ms);
  welcome();
  run_generation(1);
  EXPECT_EQ(tell(start(2)), "kill");
  EXPECT_EQ(tell(start(2)), "");
  EXPECT_EQ(tell(TrainerStreamEnded{}), "");
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 spawn2");
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
  EXPECT_EQ(tell(TrainerSaid{hello()}), "tell-assignment tell-stop");
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

TEST_F(AgentCoreTest, StopKill_OfAPendingGeneration_NeverStartsIt) {
  tick(0ms);
  welcome();
  run_generation(1);
  tell(start(2));
  EXPECT_EQ(tell(stop(2, true)), "exited2");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1");
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
  tell(TrainerSaid{said});
  now_ += 1s;
  const auto actions = core_.handle(Tick{}, now_);
  ASSERT_EQ(words(actions), "beat");
  const v1::Beat& beat = std::get<Send>(actions.front()).message.beat();
  EXPECT_EQ(beat.phase(), v1::TRAINER_PHASE_REDUCE);
  EXPECT_EQ(beat.step(), 7);
  EXPECT_TRUE(beat.entered_reduce());
}

TEST_F(AgentCoreTest, Shutdown_WhileTraining_LeavesWithZeroAfterTheTrainersDeath) {
  tick(0ms);
  welcome();
  run_generation(1);
  v1::CoordinatorMessage message;
  message.mutable_shutdown();
  EXPECT_EQ(tell(message), "goodbye kill");
  tell(TrainerStreamEnded{});
  EXPECT_EQ(tell(TrainerExited{killed()}), "exited1 leave0");
}

TEST_F(AgentCoreTest, StopRequested_TrainerDoesNotDie_LeavesAllTheSame) {
  tick(0ms);
  welcome();
  run_generation(1);
  EXPECT_EQ(tell(StopRequested{}), "goodbye kill");
  EXPECT_EQ(core_.wake_at(), now_ + 2s);
  EXPECT_EQ(tick(2000ms), "leave0");
}

// --- Data sets ---

v1::CoordinatorMessage examine(std::int64_t attempt) {
  v1::CoordinatorMessage message;
  message.mutable_examine()->set_job_id("j");
  message.mutable_examine()->set_attempt(attempt);
  return message;
}

v1::CoordinatorMessage stop_examination(std::int64_t attempt) {
  v1::CoordinatorMessage message;
  message.mutable_stop_examination()->set_job_id("j");
  message.mutable_stop_examination()->set_attempt(attempt);
  return message;
}

ExaminerSaid examined(std::int64_t attempt, bool last) {
  ExaminerSaid said;
  said.report.set_job_id("j");
  said.report.set_attempt(attempt);
  said.report.mutable_part()->set_last(last);
  return said;
}

TEST_F(AgentCoreTest, Examination_IsReportedToItsEnd) {
  tick(0ms);
  welcome();
  EXPECT_EQ(tell(examine(1)), "examine1");
  EXPECT_EQ(tell(examined(1, false)), "preflight1");
  EXPECT_EQ(tell(examined(1, true)), "preflight1");
  EXPECT_EQ(tell(examined(1, true)), "") << "it is over";
  EXPECT_EQ(tell(examine(2)), "examine2");
  EXPECT_EQ(tell(start(1)), "spawn1") << "trainers do not wait for it";
}

TEST_F(AgentCoreTest, Examination_StoppedOnce) {
  tick(0ms);
  welcome();
  tell(examine(1));
  EXPECT_EQ(tell(stop_examination(7)), "");
  EXPECT_EQ(tell(stop_examination(1)), "stop-examination");
  EXPECT_EQ(tell(stop_examination(1)), "");
  EXPECT_EQ(tell(examined(1, true)), "preflight1") << "the coordinator waits for its end";
}

TEST_F(AgentCoreTest, Examination_IsBoundToTheLink) {
  tick(0ms);
  welcome();
  tell(examine(1));
  EXPECT_EQ(tell(LinkDown{LinkLoss::kUnreachable, "gone"}), "stop-examination");
  tick(200ms);
  welcome();
  EXPECT_EQ(tell(examine(1)), "") << "the old one, which may have the same number, has not ended";
  EXPECT_EQ(tell(examined(1, false)), "") << "nobody waits for the old one";
  EXPECT_EQ(tell(examined(1, true)), "examine1");
  EXPECT_EQ(tell(examined(1, true)), "preflight1");

  tell(examine(2));
  tell(LinkDown{LinkLoss::kUnreachable, "gone"});
  tick(200ms);
  welcome();
  tell(examine(3));
  EXPECT_EQ(tell(stop_examination(3)), "preflight3") << "it had not begun";
  EXPECT_EQ(tell(examined(2, true)), "");
}

}  // namespace
}  // namespace mdgen::worker
