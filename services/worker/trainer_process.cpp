#include "services/worker/trainer_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>

#include "core/base/error.h"

namespace mdgen::worker {
namespace {

constexpr int kTrainerSocket = 3;
constexpr std::chrono::milliseconds kLogWait{1000};
constexpr std::array<std::string_view, 12> kNotForTrainers = {
    "OMPI_",   "PMIX_",  "PMI_",  "ORTE_",        "SLURM_",    "PRTE_",
    "SLURMD_", "HYDRA_", "HYDI_", "MDGEN_TOKEN=", "MDGEN_CA=", "MDGEN_ADDRESS="};
constexpr std::string_view kThreads = "OMP_NUM_THREADS=";
constexpr std::string_view kModelDir = "MODEL_DIR=";
// Threads that spin at a barrier hold the CPU from the one they wait for: with other load on the machine
// steps took 50 times as long.
constexpr std::string_view kWaitPolicy = "OMP_WAIT_POLICY=";

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

class Attributes {
 public:
  Attributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t all, none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  posix_spawnattr_t* get() { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& one : strings) result.push_back(one.data());
  result.push_back(nullptr);
  return result;
}

pid_t spawn(const TrainerCommand& command, int output) {
  FileActions files;
  ::posix_spawn_file_actions_addopen(files.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(files.get(), output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(files.get(), output, STDERR_FILENO);
  ::posix_spawn_file_actions_adddup2(files.get(), command.socket, kTrainerSocket);
  ::posix_spawn_file_actions_addclosefrom_np(files.get(), kTrainerSocket + 1);
  Attributes attributes;
  std::vector<std::string> arguments = {command.program.string(), "--agent_fd",
                                        std::to_string(kTrainerSocket), "--agent_pid",
                                        std::to_string(::getpid())};
  std::vector<std::string> environment = command.environment;
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, command.program.c_str(), files.get(), attributes.get(),
                                  pointers(arguments).data(), pointers(environment).data());
  if (error != 0) {
    throw Error(ErrorCode::kUnavailable,
                "cannot start " + command.program.string() + ": " + std::strerror(error));
  }
  return pid;
}

}  // namespace

std::vector<std::string> trainer_environment(std::span<const std::string> agent, int threads,
                                             const std::string& run_folder) {
  std::vector<std::string> result;
  bool chosen = false;
  for (const std::string& one : agent) {
    const auto begins = [&one](std::string_view prefix) { return one.starts_with(prefix); };
    if (std::any_of(kNotForTrainers.begin(), kNotForTrainers.end(), begins) || begins(kThreads) ||
        begins(kModelDir)) {
      continue;
    }
    chosen = chosen || begins(kWaitPolicy);
    result.push_back(one);
  }
  if (!chosen) result.push_back(std::string(kWaitPolicy) + "PASSIVE");
  result.push_back(std::string(kModelDir) + run_folder);
  result.push_back(std::string(kThreads) + std::to_string(std::max(threads, 1)));
  return result;
}

TrainerProcess::TrainerProcess(const TrainerCommand& command) : log_(command.log_file, command.log_limits) {
  pid_ = spawn(command, log_.write_end());
  log_.close_write_end();
  pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0) {
    const std::string reason = std::strerror(errno);
    kill();
    ::waitpid(pid_, nullptr, 0);
    throw Error(ErrorCode::kUnavailable, "pidfd_open for the trainer: " + reason);
  }
}

TrainerProcess::~TrainerProcess() {
  if (!reaped_) {
    kill();
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(pidfd_);
}

void TrainerProcess::signal(int number) {
  if (!reaped_) ::kill(-pid_, number);
}

std::optional<v1::ProcessExit> TrainerProcess::reap() {
  if (reaped_) return std::nullopt;
  siginfo_t info{};
  const auto id = static_cast<id_t>(pidfd_);
  if (::waitid(P_PIDFD, id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return std::nullopt;
  kill();  // what it has left behind in its process group
  ::waitid(P_PIDFD, id, &info, WEXITED);
  reaped_ = true;
  v1::ProcessExit exit;
  if (info.si_code == CLD_EXITED) {
    exit.set_exit_code(info.si_status);
  } else {
    exit.set_signal(info.si_status);
  }
  for (auto& line : log_.finish(kLogWait)) exit.add_last_log_lines(std::move(line));
  return exit;
}

}  // namespace mdgen::worker
