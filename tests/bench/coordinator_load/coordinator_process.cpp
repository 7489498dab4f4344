#include "tests/bench/coordinator_load/coordinator_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"

namespace mdgen::load {
namespace {

constexpr std::chrono::seconds kStopWait{20};

// Fields 14 and 15 of /proc/PID/stat, counted from behind the program's name, which may hold spaces.
double cpu_seconds(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0.0, system = 0.0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::int64_t status_bytes(const std::string& process, const std::string& key) {
  std::ifstream file("/proc/" + process + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  return 0;
}

Usage usage_of(const std::string& process) {
  return {cpu_seconds(process), status_bytes(process, "VmRSS"), status_bytes(process, "VmHWM")};
}

std::string first_line(int fd) {
  std::string line;
  char character = 0;
  while (::read(fd, &character, 1) == 1 && character != '\n') line += character;
  return line;
}

}  // namespace

Usage own_usage() { return usage_of("self"); }

CoordinatorProcess::CoordinatorProcess(const std::filesystem::path& program,
                                       const std::filesystem::path& folder) {
  const std::filesystem::path log = folder / "coordinator.log";
  std::vector<std::string> words = {
      program.string(),           "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state_dir",
      (folder / "state").string()};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(ErrorCode::kUnavailable, "no pipe for the coordinator");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
  const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  const std::string ready = error == 0 ? first_line(ends[0]) : "";
  ::close(ends[0]);
  if (error != 0)
    throw Error(ErrorCode::kUnavailable, "cannot start " + program.string() + ": " + std::strerror(error));
  const std::string before = "ready grpc=";
  if (!ready.starts_with(before)) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    throw Error(ErrorCode::kUnavailable, program.string() + " did not start; see " + log.string());
  }
  address_ = ready.substr(before.size(), ready.find(' ', before.size()) - before.size());
}

CoordinatorProcess::~CoordinatorProcess() {
  ::kill(pid_, SIGTERM);
  const auto end = std::chrono::steady_clock::now() + kStopWait;
  while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Usage CoordinatorProcess::usage() const { return usage_of(std::to_string(pid_)); }

}  // namespace mdgen::load
