// Many simulated agents on one thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/bench/coordinator_load/simulated_agent.h"

namespace mdgen::load {

class AgentPool {
 public:
  // `target`: the coordinator's HOST:PORT. The agents come once start() is called.
  AgentPool(const LoadOptions& options, std::string target, Latencies& latencies);
  ~AgentPool();  // leaves
  AgentPool(const AgentPool&) = delete;
  AgentPool& operator=(const AgentPool&) = delete;

  void start();
  // The trainers of rank 1 (of rank 0 in a job of one) crash, one of each job.
  void crash_one_of_each_job();
  // All agents say goodbye, as far as they can within `timeout`.
  void leave(std::chrono::milliseconds timeout);
  const Counters& counters() const { return counters_; }

 private:
  struct Mail {
    std::size_t agent = 0;
    Letter letter;
  };
  using Alarm = std::pair<Clock::Steady, std::size_t>;

  void post(std::size_t agent, Letter letter);
  void run();
  void ring(Clock::Steady now);
  void schedule(std::size_t agent);

  const LoadOptions& options_;
  Counters counters_;
  SimulatedAgent::Shared shared_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Mail> mail_;
  std::vector<std::function<void()>> errands_;
  bool stopping_ = false;
  bool all_left_ = false;

  // Of the thread alone.
  std::vector<std::unique_ptr<SimulatedAgent>> agents_;
  std::priority_queue<Alarm, std::vector<Alarm>, std::greater<>> alarms_;
  std::vector<Clock::Steady> wake_at_;
  std::thread thread_;
};

}  // namespace mdgen::load
