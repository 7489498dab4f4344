// The agent that holds one slot: registers with the coordinator, beats, starts and supervises one trainer
// process. The decisions are in agent_core.h; this is the loop around them.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "core/base/labels.h"
#include "services/access/access.h"
#include "services/worker/stop_signal.h"

namespace mdgen::worker {

struct AgentOptions {
  std::string coordinator;        // HOST:PORT
  access::Access access;          // to the coordinator
  std::string device = "cpu";     // "cpu", "cuda" (the one for local_rank) or "cuda:N"
  std::filesystem::path trainer;  // mdgen-trainer; empty: beside this program
  int local_rank = 0;             // among the agents of this host that were launched together
  int local_size = 1;
  Labels labels;        // for the selectors of jobs
  std::string version;  // of this program
  std::chrono::milliseconds beat_interval{1000};
  // Give up when the coordinator has not answered once by then.
  std::chrono::milliseconds connect_timeout{30000};
  // Leave with status 1 when the coordinator has been away for so long; 0: never.
  std::chrono::milliseconds give_up_after{0};
  // How long the trainer may take for a checkpoint when the agent is told to stop.
  std::chrono::milliseconds drain_timeout{60000};
  std::function<void(const std::string& worker_id)> ready;  // after the first registration
};

// Runs until `stop` is requested, the coordinator dismisses the agent, or it gives up connecting. At the
// first request the trainer writes a checkpoint and leaves before the agent does; at the second all ends at
// once. Returns the exit status: 0 after a dismissal or a stop, 1 when the coordinator was never reached or
// refused the agent, 78 when its version or its trainer's does not fit. Call from the main thread: trainers
// are tied to the thread that starts them. Throws Error when the options make no sense (no such trainer, no
// such device).
int run_agent(const AgentOptions& options, const StopSignal& stop);

}  // namespace mdgen::worker
