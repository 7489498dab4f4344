// The agent that holds one slot: registers with the coordinator, beats, starts and supervises one trainer
// process.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

namespace mdgen::worker {

struct AgentOptions {
  std::string coordinator;        // HOST:PORT
  std::string device = "cpu";     // "cpu", "cuda" (the one for local_rank) or "cuda:N"
  std::filesystem::path trainer;  // mdgen-trainer; empty: beside this program
  int local_rank = 0;             // among the agents of this host that were launched together
  int local_size = 1;
  std::chrono::milliseconds beat_interval{1000};
  std::chrono::milliseconds connect_timeout{
      30000};  // give up when the coordinator has not answered once by then
  std::function<void(const std::string& worker_id)> ready;  // after registration
};

// Runs until `stop` is set, the coordinator dismisses the agent, or it gives up connecting. Returns the exit
// status: 0 after a dismissal or a stop, 1 when the coordinator was never reached or refused the agent. Call
// from the main thread: trainers are tied to the thread that starts them.
int run_agent(const AgentOptions& options, const std::atomic<bool>& stop);

}  // namespace mdgen::worker
