#include "services/worker/out_of_memory.h"

#include <charconv>
#include <csignal>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::worker {
namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr const char* kUnknown =
    "[killed by SIGKILL, which this agent did not send: perhaps by the kernel's out-of-memory killer, whose "
    "count cannot be read here]";

template <class Take>
void for_each_line(std::string_view text, const Take& take) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    take(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

// "/a/b" below `root`; a container may see its own cgroup as the root.
void add_below(std::vector<std::filesystem::path>& files, const std::filesystem::path& root,
               std::string_view path, const char* name) {
  const std::filesystem::path relative = std::filesystem::path(path).relative_path();
  files.push_back(root / relative / name);
  if (!relative.empty()) files.push_back(root / name);
}

}  // namespace

std::optional<std::int64_t> parse_out_of_memory_kills(std::string_view text) {
  constexpr std::string_view kKey = "oom_kill ";
  std::optional<std::int64_t> kills;
  for_each_line(text, [&](std::string_view line) {
    if (!line.starts_with(kKey)) return;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(line.data() + kKey.size(), line.data() + line.size(), number);
    if (error == std::errc() && end == line.data() + line.size()) kills = number;
  });
  return kills;
}

std::vector<std::filesystem::path> memory_event_files(std::string_view cgroup,
                                                      const std::filesystem::path& mount) {
  std::vector<std::filesystem::path> files, unified;
  for_each_line(cgroup, [&](std::string_view line) {  // "4:memory:/a/b", "0::/a/b"
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) return;
    const std::string controllers = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const std::string_view path = line.substr(second + 1);
    if (controllers.find(",memory,") != std::string::npos) {
      add_below(files, mount / "memory", path, "memory.oom_control");
    } else if (controllers == ",,") {
      add_below(unified, mount, path, "memory.events");
      add_below(unified, mount / "unified", path, "memory.events");
    }
  });
  files.insert(files.end(), unified.begin(), unified.end());
  return files;
}

std::optional<std::int64_t> out_of_memory_kills() {
  try {
    for (const auto& file : memory_event_files(read_file("/proc/self/cgroup"), "/sys/fs/cgroup")) {
      std::error_code ignored;
      if (!std::filesystem::exists(file, ignored)) continue;
      if (const auto kills = parse_out_of_memory_kills(read_file(file))) return kills;
    }
  } catch (const Error&) {
  }
  return std::nullopt;
}

void OutOfMemoryWatch::look(Clock::Steady now) {
  if (!samples_.empty() && now < samples_.back().at + kLookEvery) return;
  samples_.push_back({now, count_()});
  while (samples_.size() > 1 && samples_[1].at + kWindow <= now) samples_.pop_front();
}

void OutOfMemoryWatch::judge(v1::ProcessExit& exit, Clock::Steady now) const {
  if (exit.signal() != SIGKILL) return;
  const auto kills = count_();
  std::optional<std::int64_t> before;
  if (!samples_.empty() && samples_.front().at <= now) before = samples_.front().kills;
  if (kills && before) {
    exit.set_out_of_memory(*kills > *before);
  } else {
    exit.add_last_log_lines(kUnknown);
  }
}

}  // namespace mdgen::worker
