#include "core/comm/mpi/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/comm/mpi/frames.h"
#include "core/comm/plugins.h"

extern char** environ;

namespace mdgen::comm {
namespace {

constexpr std::chrono::milliseconds kPoll{20};
constexpr int kPollsToEnd = 50;

bool read_number(std::string_view text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

void set_unless_set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 0); }

void drop_launchers_variables() {
  std::vector<std::string> names;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    for (const std::string_view prefix : {"PMIX_", "OMPI_COMM_", "OMPI_MCA_ess", "OMPI_MCA_orte", "ORTE_"}) {
      if (text.starts_with(prefix)) names.emplace_back(text.substr(0, text.find('=')));
    }
  }
  for (const std::string& name : names) ::unsetenv(name.c_str());
}

struct Pipe {
  Pipe() {
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw Error(ErrorCode::kUnavailable, std::string("cannot open a pipe: ") + std::strerror(errno));
    }
  }
  std::array<int, 2> ends{-1, -1};  // to read, to write
};

// Without the variables of another launcher.
pid_t spawn(const std::vector<std::string>& command, int input, int output) {
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    if (!text.starts_with("PMIX_") && !text.starts_with("OMPI_")) environment.push_back(*one);
  }
  environment.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, command[0].c_str(), &files, nullptr, arguments.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&files);
  if (error == 0) return pid;
  throw Error(ErrorCode::kUnavailable, "cannot start " + command[0] + ": " + std::strerror(error));
}

}  // namespace

std::optional<MpirunPlace> mpirun_place() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  const char* name = std::getenv("PMIX_NAMESPACE");
  MpirunPlace place;
  if (rank == nullptr || size == nullptr || name == nullptr || !read_number(rank, place.rank) ||
      !read_number(size, place.world_size)) {
    return std::nullopt;
  }
  place.name = name;
  return place;
}

std::string to_text(const MpiState& state) {
  return nlohmann::json{state.world, state.rank, state.mpirun, state.new_name}.dump();
}

MpiState mpi_state_from(const std::string& text) {
  try {
    const nlohmann::json list = nlohmann::json::parse(text);
    return {list.at(0), list.at(1), list.at(2), list.at(3)};
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kInternal,
                std::string("a rank posted an unreadable state of MPI: ") + error.what());
  }
}

MpiStart decide_start(const std::vector<MpiState>& by_rank) {
  const std::string& first = by_rank[0].world;
  bool by_mpirun = !by_rank[0].mpirun.empty();
  for (std::size_t rank = 0; rank < by_rank.size(); ++rank) {
    const MpiState& state = by_rank[rank];
    by_mpirun = by_mpirun && state.mpirun == by_rank[0].mpirun;
    if (state.world == first && (first.empty() || state.rank == static_cast<int>(rank))) continue;
    const auto told = [](const std::string& world) {
      return world.empty() ? "in none" : "in '" + world + "'";
    };
    throw Error(ErrorCode::kFailedPrecondition,
                "backend = mpi: MPI runs " + told(first) + " on rank 0 and " + told(state.world) +
                    " as rank " + std::to_string(state.rank) + " on rank " + std::to_string(rank) +
                    "; it starts once in a process, so another group needs new processes");
  }
  if (!first.empty()) return {MpiStart::How::kRunsAlready, first};
  if (by_mpirun) return {MpiStart::How::kByMpirun, by_rank[0].mpirun};
  return {MpiStart::How::kByHosts, by_rank[0].new_name};
}

MpiHost::MpiHost(const std::string& name, int rank, int world_size) {
  const std::string program = find_companion("mdgen-mpi-host").string();
  Pipe in;
  Pipe out;
  pid_ = spawn({program, name, std::to_string(rank), std::to_string(world_size)}, in.ends[0], out.ends[1]);
  ::close(in.ends[0]);
  ::close(out.ends[1]);
  to_ = in.ends[1];
  from_ = out.ends[0];
  const std::optional<std::string> environment = read_frame();
  if (!environment) {
    throw Error(ErrorCode::kFailedPrecondition,
                program + " has ended at once; is the PMIx library of OpenMPI installed (libpmix2)?");
  }
  environment_ = *environment;
}

MpiHost::~MpiHost() {
  ::close(to_);  // its order to end
  ::close(from_);
  for (int i = 0; i < kPollsToEnd; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) return;
    std::this_thread::sleep_for(kPoll);
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<std::string> MpiHost::read_frame() { return mdgen::comm::read_frame(from_); }

void MpiHost::set_environment(const std::string& bind_address) const {
  drop_launchers_variables();
  for (std::size_t at = 0; at < environment_.size();) {
    const std::string variable = environment_.c_str() + at;
    const auto equals = variable.find('=');
    if (equals != std::string::npos) {
      ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
    }
    at += variable.size() + 1;
  }
  // OpenMPI takes a process without variables of its own for one that runs alone, unless it sees that a
  // launcher with a PMIx server has started it; this is how IBM's jsrun shows it.
  ::setenv("JSM_JSRUN_PORT", "0", 1);
  set_unless_set("OMPI_MCA_btl_base_warn_component_unused", "0");
  set_unless_set("OMPI_MCA_hwloc_base_binding_policy", "none");
  // Ranks may share cores with others: who waits must not spin.
  set_unless_set("OMPI_MCA_mpi_yield_when_idle", "1");
  if (bind_address.find(':') == std::string::npos) {
    set_unless_set("OMPI_MCA_btl_tcp_if_include",
                   bind_address + (bind_address == "127.0.0.1" ? "/8" : "/32"));
  }
}

void MpiHost::serve(const Exchange& exchange, const std::function<bool()>& is_done,
                    const CollectiveOptions& options) {
  const auto deadline = std::chrono::steady_clock::now() + options.forming_timeout;
  while (!is_done()) {
    if (options.cancelled && options.cancelled()) {
      throw Error(ErrorCode::kAborted, "forming the group: cancelled");
    }
    pollfd ready{from_, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(kPoll.count())) > 0) {
      const std::optional<std::string> own = read_frame();
      if (!own) throw Error(ErrorCode::kUnavailable, "forming the group: mdgen-mpi-host has ended");
      std::string all;
      for (const std::string& blob : exchange("mpi/fence/" + std::to_string(round_++), *own)) all += blob;
      if (!write_frame(to_, all)) {
        throw Error(ErrorCode::kUnavailable, "forming the group: mdgen-mpi-host has ended");
      }
    } else if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorCode::kUnavailable, "forming the group: MPI has not started after " +
                                               std::to_string(options.forming_timeout.count()) + " ms");
    }
  }
}

}  // namespace mdgen::comm
