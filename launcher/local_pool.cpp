#include "launcher/local_pool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/base/error.h"

namespace mdgen::launcher {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (auto& one : strings) result.push_back(one.data());
  result.push_back(nullptr);
  return result;
}

constexpr int kTokenDescriptor = 3;
constexpr int kCertificateDescriptor = 4;

// A file without a name; above the descriptors that the agent finds it at.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& text) {
    const int low = ::memfd_create("mdgen", MFD_CLOEXEC);
    fd_ = ::fcntl(low, F_DUPFD_CLOEXEC, 2 * kCertificateDescriptor);
    ::close(low);
    if (fd_ < 0 || ::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw Error(ErrorCode::kUnavailable, std::string("memfd_create: ") + std::strerror(errno));
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

std::string descriptor_path(int fd) { return "/dev/fd/" + std::to_string(fd); }

std::vector<std::string> command_line(const LocalPool::Options& options, int local_rank) {
  std::vector<std::string> words = {options.worker.string(),
                                    "--coordinator",
                                    options.coordinator,
                                    "--device",
                                    options.device,
                                    "--local_rank",
                                    std::to_string(local_rank),
                                    "--local_size",
                                    std::to_string(options.local_size),
                                    "--give_up_after",
                                    "60",
                                    "--owner",
                                    std::to_string(::getpid())};
  if (!options.access.is_plain()) {
    words.insert(words.end(), {"--token_file", descriptor_path(kTokenDescriptor), "--ca",
                               descriptor_path(kCertificateDescriptor)});
  }
  if (!options.trainer.empty()) words.insert(words.end(), {"--trainer", options.trainer.string()});
  return words;
}

std::vector<std::string> agent_environment() {
  std::vector<std::string> result;
  for (char** one = ::environ; *one != nullptr; ++one) {
    const std::string_view entry(*one);
    if (!entry.starts_with("MDGEN_TOKEN=") && !entry.starts_with("MDGEN_CA=")) result.emplace_back(entry);
  }
  if (std::getenv("MDGEN_LOG") == nullptr) result.emplace_back("MDGEN_LOG=warn");
  return result;
}

}  // namespace

LocalPool::LocalPool(const Options& options) {
  if (::access(options.worker.c_str(), X_OK) != 0) {
    throw Error(ErrorCode::kNotFound, "no agent program at " + options.worker.string());
  }
  for (int i = 0; i < options.agents; ++i) start(options, options.first_local_rank + i);
}

LocalPool::~LocalPool() {
  kill();
  wait(std::chrono::seconds(5));
  for (const Agent& agent : agents_) ::close(agent.pidfd);
}

void LocalPool::start(const Options& options, int local_rank) {
  const MemoryFile token(options.access.token), certificate(options.access.trusted);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, token.fd(), kTokenDescriptor);
  ::posix_spawn_file_actions_adddup2(&files, certificate.fd(), kCertificateDescriptor);
  ::posix_spawn_file_actions_addclosefrom_np(&files, kCertificateDescriptor + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t all, none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  auto words = command_line(options, local_rank);
  auto environment = agent_environment();
  Agent agent;
  const int error = ::posix_spawn(&agent.pid, options.worker.c_str(), &files, &attributes,
                                  pointers(words).data(), pointers(environment).data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    throw Error(ErrorCode::kUnavailable,
                "cannot start " + options.worker.string() + ": " + std::strerror(error));
  }
  agent.pidfd = static_cast<int>(::syscall(SYS_pidfd_open, agent.pid, 0));
  agents_.push_back(agent);
}

void LocalPool::reap(Agent& agent) {
  int status = 0;
  if (!agent.wait_status && ::waitpid(agent.pid, &status, WNOHANG) == agent.pid) agent.wait_status = status;
}

std::optional<std::string> LocalPool::first_end() {
  for (std::size_t i = 0; i < agents_.size(); ++i) {
    reap(agents_[i]);
    if (!agents_[i].wait_status) continue;
    const int status = *agents_[i].wait_status;
    return "agent " + std::to_string(i) +
           (WIFSIGNALED(status) ? " ended by signal " + std::to_string(WTERMSIG(status))
                                : " exited with " + std::to_string(WEXITSTATUS(status)));
  }
  return std::nullopt;
}

bool LocalPool::wait(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (Agent& agent : agents_) {
    while (!agent.wait_status) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      pollfd watched{agent.pidfd, POLLIN, 0};
      const int ready = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
      reap(agent);
      if (ready == 0 || (ready < 0 && errno != EINTR)) break;
    }
  }
  return std::all_of(agents_.begin(), agents_.end(),
                     [](const Agent& one) { return one.wait_status.has_value(); });
}

bool LocalPool::all_succeeded() const {
  return std::all_of(agents_.begin(), agents_.end(), [](const Agent& one) { return one.wait_status == 0; });
}

void LocalPool::kill() {
  for (Agent& agent : agents_) {
    if (!agent.wait_status) ::kill(agent.pid, SIGKILL);
  }
}

}  // namespace mdgen::launcher
