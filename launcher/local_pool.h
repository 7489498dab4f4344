// The mdgen-worker processes that mdgen-launch starts on its own host.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "services/access/access.h"

namespace mdgen::launcher {

// Each agent leads a process group of its own (a terminal's Ctrl-C is the launcher's alone), ends when this
// process does, and says on standard error only what is wrong unless MDGEN_LOG asks for more. Create and use
// from one thread that lives as long as the agents.
class LocalPool {
 public:
  struct Options {
    std::filesystem::path worker;   // mdgen-worker
    std::filesystem::path trainer;  // empty: mdgen-worker's own choice
    std::string coordinator;        // HOST:PORT
    access::Access access;          // goes by descriptor: no environment, no file and no command line has it
    std::string device = "cpu";
    int agents = 1;
    int first_local_rank = 0;
    int local_size = 1;
  };

  explicit LocalPool(const Options& options);  // throws Error that names the program
  ~LocalPool();                                // kills those that still run
  LocalPool(const LocalPool&) = delete;
  LocalPool& operator=(const LocalPool&) = delete;

  // How the first agent that has ended did so ("agent 1 ended by signal 9"); nothing while all run.
  std::optional<std::string> first_end();
  // Waits until all have ended, or the time is over: true when they have.
  bool wait(std::chrono::milliseconds timeout);
  bool all_succeeded() const;  // all have ended with status 0
  void kill();

 private:
  struct Agent {
    pid_t pid = -1;
    int pidfd = -1;
    std::optional<int> wait_status;
  };
  void start(const Options& options, int local_rank);
  void reap(Agent& agent);

  std::vector<Agent> agents_;
};

}  // namespace mdgen::launcher
