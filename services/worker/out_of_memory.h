// Whether it was the kernel's out-of-memory killer that ended a trainer.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/worker_service.pb.h"

namespace mdgen::worker {

// "oom_kill N" of memory.events (cgroup v2) or memory.oom_control (v1); nothing without such a line.
std::optional<std::int64_t> parse_out_of_memory_kills(std::string_view text);

// Where that count may lie, for a process whose /proc/PID/cgroup says `cgroup`; the likeliest first.
std::vector<std::filesystem::path> memory_event_files(std::string_view cgroup,
                                                      const std::filesystem::path& mount);

// Kills in this process's memory cgroup so far, whose trainers share it; nothing when the kernel does not
// tell.
std::optional<std::int64_t> out_of_memory_kills();

// The kernel counts kills but does not say whom: a SIGKILL that nobody here sent, within ten seconds of the
// count's rise, is taken for one. Not thread-safe.
class OutOfMemoryWatch {
 public:
  using Count = std::function<std::optional<std::int64_t>()>;
  static constexpr std::chrono::seconds kWindow{10};

  explicit OutOfMemoryWatch(Count count) : count_(std::move(count)) {}

  void look(Clock::Steady now);  // often; reads at most once a second
  // Sets `out_of_memory` of a process that ended by SIGKILL. Where the kernel does not tell, its last line
  // says so.
  void judge(v1::ProcessExit& exit, Clock::Steady now) const;

 private:
  struct Sample {
    Clock::Steady at;
    std::optional<std::int64_t> kills;
  };
  Count count_;
  std::deque<Sample> samples_;  // the last window's, and one before
};

}  // namespace mdgen::worker
