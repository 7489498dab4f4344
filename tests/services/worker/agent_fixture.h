// The agent as a whole, with a fake coordinator and a fake trainer.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <future>
#include <string>
#include <thread>

#include "core/base/files.h"
#include "fake_coordinator.h"
#include "services/worker/agent.h"
#include "tests/support/temp_dir.h"

namespace mdgen::worker::testing {

// An agent in a thread of its own.
class RunningAgent {
 public:
  explicit RunningAgent(const FakeCoordinator& coordinator) {
    options_.coordinator = coordinator.address();
    options_.trainer = MDGEN_FAKE_TRAINER;
    options_.beat_interval = std::chrono::milliseconds(50);
    status_ = std::async(std::launch::async, [this] { return run_agent(options_, stop_); });
  }
  ~RunningAgent() { stop(); }

  void ask_to_stop() { stop_.request(SIGTERM); }
  int stop() {  // at once
    ask_to_stop();
    ask_to_stop();
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
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto file = folder_.path() / "logs" / ("rank-0.attempt-" + std::to_string(attempt) + ".log");
    while (!std::filesystem::exists(file) || log(attempt).find(text) == std::string::npos) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  mdgen::testing::TempDir folder_;
  FakeCoordinator coordinator_;
};

}  // namespace mdgen::worker::testing
