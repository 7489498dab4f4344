// mdgen-worker as a process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "agent_fixture.h"

namespace mdgen::worker {
namespace {

using namespace std::chrono_literals;
using namespace testing;

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
  worker.kill(SIGUSR2);
  worker.kill(SIGTERM);
  EXPECT_EQ(worker.wait(), 0);
  coordinator_.await([](const auto& one) { return one.has_goodbye(); });
}

TEST_F(AgentTest, Program_Sigusr1_DrainsFirstAndASecondSignalEndsItAtOnce) {
  WorkerProcess worker({"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER});
  coordinator_.await_register();
  worker.line();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  worker.kill(SIGUSR1);
  const auto draining = coordinator_.await([](const auto& one) { return one.has_draining(); }).draining();
  EXPECT_EQ(draining.reason(), "the agent got SIGUSR1");
  worker.kill(SIGTERM);
  EXPECT_EQ(worker.wait(), 0);
  coordinator_.await([](const auto& one) { return one.has_goodbye(); });
}

TEST_F(AgentTest, Program_DrainOrder_LeavesWhenItsTrainerHasCheckpointedAndLeft) {
  WorkerProcess worker({"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER});
  coordinator_.await_register();
  worker.line();
  coordinator_.send(play("wander"));
  await_log("plays wander");
  v1::CoordinatorMessage message;
  message.mutable_drain()->set_reason("it is drained by kim");
  coordinator_.send(message);
  const auto draining = coordinator_.await([](const auto& one) { return one.has_draining(); }).draining();
  EXPECT_EQ(draining.reason(), "it is drained by kim");
  const v1::LeftReport left = coordinator_.await_event(v1::TrainerEvent::kLeft).left();
  EXPECT_TRUE(left.agreed());
  EXPECT_TRUE(left.checkpointed());
  EXPECT_EQ(worker.wait(), 0);
}

TEST_F(AgentTest, Program_Label_IsSaidAtTheRegistration) {
  WorkerProcess worker({"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER, "--label",
                        "gpu=h200", "--label", "zone=a"});
  const v1::Register said = coordinator_.await_register();
  EXPECT_EQ(said.labels().at("gpu"), "h200");
  EXPECT_EQ(said.labels().at("zone"), "a");
  EXPECT_EQ(said.labels_size(), 2);
  EXPECT_FALSE(said.version().empty());
  worker.line();
  worker.kill(SIGTERM);
  EXPECT_EQ(worker.wait(), 0);
  WorkerProcess wrong(
      {"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER, "--label", "a b"});
  EXPECT_EQ(WEXITSTATUS(wrong.wait()), 2);
}

TEST_F(AgentTest, Program_DrainTimeout_EndsATrainerThatDoesNotLeave) {
  WorkerProcess worker(
      {"--coordinator", coordinator_.address(), "--trainer", MDGEN_FAKE_TRAINER, "--drain_timeout", "0.2"});
  coordinator_.await_register();
  worker.line();
  coordinator_.send(play("hang"));
  await_log("plays hang");
  worker.kill(SIGTERM);
  EXPECT_EQ(worker.wait(), 0);
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

}  // namespace
}  // namespace mdgen::worker
