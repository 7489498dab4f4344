// The agent's loop: registration, the trainer's process, reports, orders.
#include "services/worker/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <nlohmann/json.hpp>
#include <string>

#include "agent_fixture.h"
#include "core/base/error.h"
#include "services/worker/surroundings.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using ::testing::HasSubstr;
using ::testing::Not;
using Case = v1::TrainerEvent::EventCase;

TEST_F(AgentTest, Register_SaysWhoAndWhere) {
  RunningAgent agent(coordinator_);
  const v1::Register said = coordinator_.await_register();
  EXPECT_EQ(said.device(), "cpu");
  EXPECT_EQ(said.address(), "127.0.0.1");
  EXPECT_EQ(said.pid(), ::getpid());
  EXPECT_GE(said.cpus(), 1);
  EXPECT_FALSE(said.host().empty());
  EXPECT_FALSE(said.boot_id().empty());
  EXPECT_EQ(said.incarnation().size(), 36U);
  EXPECT_EQ(said.running_size(), 0);
  coordinator_.await([](const auto& one) { return one.has_beat(); });
  EXPECT_EQ(agent.stop(), 0);
  EXPECT_TRUE(coordinator_.heard().back().has_goodbye());
}

TEST_F(AgentTest, Start_RelaysReportsInOrderAndThenTheExit) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("steps"));
  const auto is_event = [](const auto& one) { return one.has_trainer(); };
  EXPECT_TRUE(coordinator_.await(is_event).trainer().has_started());
  for (int step = 1; step <= 3; ++step) EXPECT_EQ(coordinator_.await(is_event).trainer().step().step(), step);
  coordinator_.send(stop_order(false));
  EXPECT_THAT(coordinator_.await(is_event).trainer().finished().message(), HasSubstr("checkpoint: true"));
  const v1::TrainerEvent end = coordinator_.await(is_event).trainer();
  EXPECT_EQ(end.id().job_id(), "j");
  EXPECT_EQ(end.id().generation(), 1);
  EXPECT_EQ(end.exited().exit_code(), 0);
  EXPECT_EQ(end.exited().signal(), 0);
}

TEST_F(AgentTest, Start_TrainerGetsACleanProcess) {
  ::setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  ::setenv("SLURM_PROCID", "1", 1);
  const int leaked = ::open("/dev/zero", O_RDONLY);  // not close-on-exec
  {
    RunningAgent agent(coordinator_);
    coordinator_.await_register();
    coordinator_.send(play("describe"));
    const auto finished = coordinator_.await_event(Case::kFinished);
    const auto facts = nlohmann::json::parse(finished.finished().message());
    EXPECT_TRUE(facts["leads_session"].get<bool>());
    EXPECT_TRUE(facts["child_of_agent"].get<bool>());
    EXPECT_EQ(facts["SigBlk"], "0000000000000000");
    EXPECT_EQ(std::stoull(facts["SigIgn"].get<std::string>(), nullptr, 16) & 0x7fffffff,
              0U);  // 32 is the C library's
    const std::string environment = facts["environment"].dump();
    EXPECT_THAT(environment, Not(HasSubstr("OMPI_")));
    EXPECT_THAT(environment, Not(HasSubstr("SLURM_")));
    EXPECT_THAT(environment, HasSubstr("OMP_NUM_THREADS=3"));
    const auto& descriptors = facts["descriptors"];
    EXPECT_EQ(descriptors["0"], "/dev/null");
    EXPECT_THAT(descriptors["1"], HasSubstr("pipe:"));
    EXPECT_EQ(descriptors["1"], descriptors["2"]);
    EXPECT_THAT(descriptors["3"], HasSubstr("socket:"));
    EXPECT_THAT(descriptors.dump(), Not(HasSubstr("/dev/zero")));
  }
  ::close(leaked);
  ::unsetenv("OMPI_COMM_WORLD_RANK");
  ::unsetenv("SLURM_PROCID");
}

TEST_F(AgentTest, TrainerCrashes_ReportsSignalAndLastLines) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("crash"));
  const v1::ProcessExit exit = coordinator_.await_event(Case::kExited).exited();
  EXPECT_EQ(exit.signal(), SIGABRT);
  ASSERT_EQ(exit.last_log_lines_size(), 20);
  EXPECT_EQ(exit.last_log_lines(18), "line 30");
  EXPECT_EQ(exit.last_log_lines(19), "the last? words");
  EXPECT_THAT(log(1), HasSubstr("line 1\n"));
}

TEST_F(AgentTest, TrainerExits_ReportsTheCodeAndTakesTheNextAssignment) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("exit3"));
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().exit_code(), 3);
  coordinator_.send(play("finish", 2));
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).finished().message(), "played finish");
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().exit_code(), 0);
}

TEST_F(AgentTest, StopKill_EndsAHangingTrainer) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  coordinator_.send(stop_order(true));
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().signal(), SIGKILL);
}

TEST_F(AgentTest, StopOrder_ReachesTheTrainer) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("obey"));
  coordinator_.send(stop_order(false));
  const v1::FinishReport report = coordinator_.await_event(Case::kFinished).finished();
  EXPECT_EQ(report.outcome(), v1::OUTCOME_STOPPED);
  EXPECT_EQ(report.message(), "stop { checkpoint: true }");
}

TEST_F(AgentTest, AssignmentOfAnotherJob_ReplacesTheTrainer) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("hang", 1));
  await_log("plays hang");
  auto another = play("finish", 2);
  another.mutable_start()->mutable_id()->set_job_id("k");
  coordinator_.send(another);
  const v1::TrainerEvent old = coordinator_.await_event(Case::kExited);
  EXPECT_EQ(old.id().generation(), 1);
  EXPECT_EQ(old.exited().signal(), SIGKILL);
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).id().job_id(), "k");
}

TEST_F(AgentTest, Abandon_SameProcessTakesTheNextAssignment) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("wander", 1));
  await_log("plays wander");
  v1::CoordinatorMessage message;
  *message.mutable_abandon()->mutable_id() = play("").start().id();
  coordinator_.send(message);
  const v1::TrainerEvent left = coordinator_.await_event(Case::kLeft);
  EXPECT_EQ(left.id().generation(), 1);
  EXPECT_EQ(left.left().applied(), 5);
  coordinator_.send(play("finish", 2));
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).id().generation(), 2);
  EXPECT_EQ(coordinator_.await_event(Case::kExited).id().generation(), 2);
  EXPECT_THAT(log(1), HasSubstr("plays finish")) << "one process, one log";
}

TEST_F(AgentTest, NewerAssignment_WithoutAnAbandon_IsHandedOverToo) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("wander", 1));
  await_log("plays wander");
  coordinator_.send(play("finish", 2));
  EXPECT_EQ(coordinator_.await_event(Case::kLeft).id().generation(), 1);
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).id().generation(), 2);
}

TEST_F(AgentTest, LostCoordinator_TrainerHasLeft_SaysSoAgain) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("wander", 1));
  await_log("plays wander");
  v1::CoordinatorMessage message;
  *message.mutable_abandon()->mutable_id() = play("").start().id();
  coordinator_.send(message);
  coordinator_.await_event(Case::kLeft);
  coordinator_.stop();
  coordinator_.start_again(2);
  EXPECT_EQ(coordinator_.await_register().running_size(), 1);
  EXPECT_EQ(coordinator_.await_event(Case::kLeft).left().applied(), 5);
}

v1::CoordinatorMessage inject(v1::FaultKind kind, double seconds = 0) {
  v1::CoordinatorMessage message;
  message.mutable_inject()->mutable_id()->set_job_id("j");
  message.mutable_inject()->mutable_id()->set_generation(1);
  message.mutable_inject()->mutable_fault()->set_kind(kind);
  message.mutable_inject()->mutable_fault()->set_seconds(seconds);
  return message;
}

TEST_F(AgentTest, StopKill_OfAStoppedProcess_IsConfirmed) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  coordinator_.send(inject(v1::FAULT_KIND_HANG));
  const auto silent = [](const auto& one) { return one.beat().trainer_silent_ms() > 200; };
  coordinator_.await(silent);
  coordinator_.send(stop_order(true));
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().signal(), SIGKILL);
}

TEST_F(AgentTest, InjectedKill_IsReportedAsTheTrainersEnd) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  coordinator_.send(inject(v1::FAULT_KIND_KILL));
  const v1::ProcessExit exit = coordinator_.await_event(Case::kExited).exited();
  EXPECT_EQ(exit.signal(), SIGKILL);
  EXPECT_FALSE(exit.out_of_memory());
}

TEST_F(AgentTest, InjectedPartition_ComesBackWithTheSameTrainer) {
  RunningAgent agent(coordinator_);
  const std::string incarnation = coordinator_.await_register().incarnation();
  coordinator_.send(play("wander"));
  await_log("plays wander");
  coordinator_.send(inject(v1::FAULT_KIND_PARTITION, 0.3));
  const v1::Register again = coordinator_.await_register();
  EXPECT_EQ(again.incarnation(), incarnation);
  EXPECT_EQ(again.running_size(), 1);
}

TEST_F(AgentTest, AskedToStop_LeavesWhenItsTrainerHasCheckpointedAndLeft) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("wander"));
  await_log("plays wander");
  agent.ask_to_stop();
  const auto draining = coordinator_.await([](const auto& one) { return one.has_draining(); }).draining();
  EXPECT_EQ(draining.reason(), "the agent got SIGTERM");
  EXPECT_GT(draining.deadline_ms(), 50000);
  const v1::LeftReport left = coordinator_.await_event(Case::kLeft).left();
  EXPECT_TRUE(left.agreed());
  EXPECT_TRUE(left.checkpointed());
  coordinator_.await([](const auto& one) { return one.has_goodbye(); });
  EXPECT_EQ(agent.left(), 0);
}

TEST_F(AgentTest, TrainerPrintsMuch_IsNeverBlocked) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("spam"));
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().exit_code(), 0);
}

TEST_F(AgentTest, Exchange_PassesOnWithTheAgentsIncarnation) {
  std::promise<v1::ExchangeRequest> asked;
  coordinator_.on_exchange = [&asked](const v1::ExchangeRequest& request, v1::ExchangeResponse& response) {
    asked.set_value(request);
    response.add_blobs(request.blob());
    return grpc::Status::OK;
  };
  RunningAgent agent(coordinator_);
  const v1::Register said = coordinator_.await_register();
  coordinator_.send(play("exchange"));
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).finished().message(), "1 here");
  const v1::ExchangeRequest request = asked.get_future().get();
  EXPECT_EQ(request.incarnation(), said.incarnation());
  EXPECT_EQ(request.key(), "address");
}

TEST_F(AgentTest, Exchange_Superseded_ReachesTheTrainer) {
  coordinator_.on_exchange = [](const auto&, auto&) {
    return grpc::Status(grpc::StatusCode::ABORTED, "superseded");
  };
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("exchange"));
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).finished().message(), "error 10");
}

TEST_F(AgentTest, Exchange_CoordinatorRestarts_IsAskedAgain) {
  std::promise<void> asked;
  std::atomic<int> calls = 0;
  coordinator_.on_exchange = [&](const v1::ExchangeRequest& request, v1::ExchangeResponse& response) {
    if (calls.fetch_add(1) == 0) {
      asked.set_value();
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
    }
    response.add_blobs(request.blob());
    return grpc::Status::OK;
  };
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("exchange"));
  asked.get_future().wait();
  coordinator_.stop();
  coordinator_.start_again(2);
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).finished().message(), "1 here");
}

TEST_F(AgentTest, LostCoordinator_TrainerGoesOnAndReportsAreKept) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("steps"));
  coordinator_.await_event(Case::kStep);
  coordinator_.stop();
  coordinator_.start_again(2);
  const v1::Register again = coordinator_.await_register();
  ASSERT_EQ(again.running_size(), 1);
  EXPECT_EQ(again.running(0).generation(), 1);
  const auto third = [](const auto& one) { return one.trainer().step().step() == 3; };
  coordinator_.await(third);
  coordinator_.send(stop_order(false));
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().exit_code(), 0);
}

TEST_F(AgentTest, LowerEpoch_IsRefusedUntilAHigherOneComes) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.stop();
  coordinator_.start_again(0);
  coordinator_.await_register();
  coordinator_.await_register();  // it has left and come again
  coordinator_.stop();
  coordinator_.start_again(2);
  coordinator_.await_register();
  coordinator_.await([](const auto& one) { return one.has_beat(); });
}

TEST_F(AgentTest, GivenUp_ComesBackAsAnotherIncarnation) {
  RunningAgent agent(coordinator_);
  const v1::Register first = coordinator_.await_register();
  coordinator_.refuse_next({grpc::StatusCode::ABORTED, "superseded"});
  coordinator_.stop();
  coordinator_.start_again(2);
  EXPECT_EQ(coordinator_.await_register().incarnation(), first.incarnation());
  EXPECT_NE(coordinator_.await_register().incarnation(), first.incarnation());
}

TEST_F(AgentTest, Refused_LeavesWithOne) {
  coordinator_.refuse_next({grpc::StatusCode::INVALID_ARGUMENT, "no such device"});
  RunningAgent agent(coordinator_);
  EXPECT_EQ(agent.left(), 1);
}

TEST_F(AgentTest, OfAVersionThatDoesNotFit_LeavesWithTheStatusThatEndsRestarts) {
  coordinator_.refuse_next(
      {grpc::StatusCode::FAILED_PRECONDITION, "mdgen-worker 0.1.0 does not work with …"});
  RunningAgent agent(coordinator_);
  EXPECT_EQ(agent.left(), 78);
}

TEST_F(AgentTest, Shutdown_LeavesWithZeroAndKillsTheTrainer) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  v1::CoordinatorMessage message;
  message.mutable_shutdown()->set_reason("done");
  coordinator_.send(message);
  EXPECT_EQ(agent.left(), 0);
  EXPECT_EQ(coordinator_.await_event(Case::kExited).exited().signal(), SIGKILL);
}

TEST_F(AgentTest, NoSuchTrainer_IsReportedAtTheStart) {
  AgentOptions options;
  options.coordinator = coordinator_.address();
  options.trainer = folder_ / "absent";
  EXPECT_THROW(run_agent(options, StopSignal()), Error);
}

TEST_F(AgentTest, UnwritableRunFolder_FailsTheAssignmentOnly) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  auto message = play("finish");
  message.mutable_start()->set_run_folder("/proc/nowhere");
  coordinator_.send(message);
  const v1::FinishReport report = coordinator_.await_event(Case::kFinished).finished();
  EXPECT_EQ(report.outcome(), v1::OUTCOME_FAILED);
  EXPECT_THAT(report.message(), HasSubstr("/proc/nowhere/logs"));
  coordinator_.send(play("finish", 2));
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).id().generation(), 2);
}

TEST_F(AgentTest, Examine_ReportsWhatTheDataSetHas) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  v1::CoordinatorMessage order;
  order.mutable_examine()->set_job_id("j");
  order.mutable_examine()->set_attempt(4);
  v1::DataSpec& data = *order.mutable_examine()->mutable_spec()->mutable_data();
  order.mutable_examine()->mutable_spec()->mutable_loop()->set_no_validate(true);
  data.set_train_split(folder_ / "train.csv");
  data.set_data_dir(folder_.path());
  replace_file(folder_ / "train.csv", "name,seqres\np1,ACXE\np2,ACDE\n");
  coordinator_.send(order);
  const auto said = coordinator_.await(
      [](const auto& one) { return one.has_preflight() && one.preflight().part().last(); });
  EXPECT_EQ(said.preflight().job_id(), "j");
  EXPECT_EQ(said.preflight().attempt(), 4);
  v1::Preflight found;
  ASSERT_TRUE(found.ParseFromString(said.preflight().part().bytes()));
  ASSERT_EQ(found.problems_size(), 2);
  EXPECT_THAT(found.problems(0), HasSubstr("line 2 (p1): letter 'X'"));
  EXPECT_THAT(found.problems(1), HasSubstr("p2.npy is not in " + folder_.path().string()));
  EXPECT_EQ(agent.stop(), 0);
}

}  // namespace
}  // namespace mdgen::worker
