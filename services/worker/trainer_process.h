// One trainer process: started by posix_spawn, watched through a pidfd, killed with its whole process group.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mdgen/v1/worker_service.pb.h"
#include "services/worker/log_sink.h"

namespace mdgen::worker {

// The environment of a trainer: the agent's own without what belongs to the launcher that started the agent
// (OMPI_, PMIX_, PMI_, ORTE_, SLURM_ and their like), and with OMP_NUM_THREADS and MODEL_DIR: the run folder,
// under the name that the reference gives it for whatever a run starts (parsing.py).
std::vector<std::string> trainer_environment(std::span<const std::string> agent, int threads,
                                             const std::string& run_folder);

struct TrainerCommand {
  std::filesystem::path program;
  std::vector<std::string> environment;  // NAME=value
  int socket = -1;                       // the trainer's end; it becomes its descriptor 3
  std::filesystem::path log_file;
  LogSink::Limits log_limits{};
};

// Runs `program --agent_fd 3 --agent_pid PID` as the leader of a session of its own, with default signal
// actions and no signal blocked, standard input from /dev/null, output to the log, and no descriptor above 3.
// Start it from a thread that outlives it (PR_SET_PDEATHSIG fires when the starting thread ends). Not
// thread-safe.
class TrainerProcess {
 public:
  explicit TrainerProcess(
      const TrainerCommand& command);  // throws Error that names the program or the log file
  ~TrainerProcess();                   // kills and reaps
  TrainerProcess(const TrainerProcess&) = delete;
  TrainerProcess& operator=(const TrainerProcess&) = delete;

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_; }  // readable when the process has ended
  void signal(int number);              // to its whole process group
  void kill() { signal(SIGKILL); }
  // How it ended, with its last lines; nothing while it runs.
  std::optional<v1::ProcessExit> reap();

 private:
  LogSink log_;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  bool reaped_ = false;
};

}  // namespace mdgen::worker
