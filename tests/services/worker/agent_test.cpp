// The agent as a whole, with a fake coordinator and a fake trainer.
#include "services/worker/agent.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "core/base/error.h"
#include "core/base/files.h"
#include "fake_coordinator.h"
#include "services/worker/surroundings.h"
#include "tests/support/temp_dir.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using testing::FakeCoordinator;
using ::testing::HasSubstr;
using Case = v1::TrainerEvent::EventCase;

// An agent in a thread of its own.
class RunningAgent {
 public:
  explicit RunningAgent(const FakeCoordinator& coordinator) {
    options_.coordinator = coordinator.address();
    options_.trainer = MDGEN_FAKE_TRAINER;
    options_.beat_interval = 50ms;
    status_ = std::async(std::launch::async, [this] { return run_agent(options_, stop_); });
  }
  ~RunningAgent() { stop(); }

  int stop() {
    stop_.request();
    return left();
  }
  int left() {
    if (status_.valid()) result_ = status_.get();
    return result_;
  }

 private:
  AgentOptions options_;
  StopSignal stop_;
  std::future<int> status_;
  int result_ = -1;
};

class AgentTest : public ::testing::Test {
 protected:
  v1::CoordinatorMessage play(const std::string& name, std::int64_t generation = 1) {
    v1::CoordinatorMessage message;
    v1::Assignment& assignment = *message.mutable_start();
    assignment.mutable_id()->set_job_id("j");
    assignment.mutable_id()->set_generation(generation);
    assignment.set_world_size(1);
    assignment.set_attempt(static_cast<int>(generation));
    assignment.mutable_spec()->set_name(name);
    assignment.set_run_folder(folder_.path());
    assignment.set_threads(3);
    return message;
  }
  v1::CoordinatorMessage stop_order(bool kill) {
    v1::CoordinatorMessage message;
    *message.mutable_stop()->mutable_id() = play("").start().id();
    message.mutable_stop()->set_kill(kill);
    message.mutable_stop()->mutable_order()->set_checkpoint(true);
    return message;
  }
  std::string log(int attempt) {
    return read_file(folder_.path() / "logs" / ("rank-0.attempt-" + std::to_string(attempt) + ".log"));
  }
  // Until the trainer has its assignment.
  void await_log(const std::string& text, int attempt = 1) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    const auto file = folder_.path() / "logs" / ("rank-0.attempt-" + std::to_string(attempt) + ".log");
    while (!std::filesystem::exists(file) || log(attempt).find(text) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(5ms);
    }
  }

  mdgen::testing::TempDir folder_;
  FakeCoordinator coordinator_;
};

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

TEST_F(AgentTest, NewerAssignment_ReplacesTheTrainer) {
  RunningAgent agent(coordinator_);
  coordinator_.await_register();
  coordinator_.send(play("hang", 1));
  await_log("plays hang");
  coordinator_.send(play("finish", 2));
  const v1::TrainerEvent old = coordinator_.await_event(Case::kExited);
  EXPECT_EQ(old.id().generation(), 1);
  EXPECT_EQ(old.exited().signal(), SIGKILL);
  EXPECT_EQ(coordinator_.await_event(Case::kFinished).id().generation(), 2);
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

// --- mdgen-worker as a process ---

class WorkerProcess {
 public:
  explicit WorkerProcess(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), MDGEN_BIN_DIR "/mdgen-worker");
    std::vector<char*> pointers;
    for (auto& one : arguments) pointers.push_back(one.data());
    pointers.push_back(nullptr);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    if (::posix_spawn(&pid_, pointers[0], &files, nullptr, pointers.data(), ::environ) != 0) {
      throw std::runtime_error("spawn");
    }
    ::posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    output_ = ends[0];
  }
  ~WorkerProcess() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
    ::close(output_);
  }

  void kill(int number) { ::kill(pid_, number); }
  std::string line() {
    std::string result;
    char byte = 0;
    while (::read(output_, &byte, 1) == 1 && byte != '\n') result += byte;
    return result;
  }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

// True when the process has ended within the time.
bool ends(int pidfd, std::chrono::milliseconds within) {
  pollfd watched{pidfd, POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(within.count())) == 1;
}

TEST_F(AgentTest, Program_SaysReadyAndEndsOnSigterm) {
  WorkerProcess worker({"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER});
  EXPECT_EQ(worker.line(), "ready worker=w-1");
  worker.kill(SIGUSR1);
  worker.kill(SIGTERM);
  EXPECT_EQ(worker.wait(), 0);
  coordinator_.await([](const auto& one) { return one.has_goodbye(); });
}

TEST_F(AgentTest, Program_OwnedAgent_IgnoresSigtermWhileItsOwnerLives) {
  WorkerProcess worker({"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER, "--owner",
                        std::to_string(::getpid())});
  worker.line();
  worker.kill(SIGTERM);
  worker.kill(SIGINT);
  v1::CoordinatorMessage message;
  message.mutable_shutdown();
  coordinator_.await([](const auto& one) { return one.has_beat(); });
  coordinator_.send(message);
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(AgentTest, Program_AgentKilled_TakesItsTrainerWithIt) {
  WorkerProcess worker({"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER});
  coordinator_.await_register();
  worker.line();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  const int trainer = std::stoi(log(1).substr(log(1).find(" as ") + 4));
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, trainer, 0));
  ASSERT_GE(pidfd, 0);
  worker.kill(SIGKILL);
  EXPECT_TRUE(ends(pidfd, 20s));
  ::close(pidfd);
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
