#include "core/train/log_file.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <utility>

namespace mdgen::train {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

}  // namespace

std::string log_line(Clock::Wall when, const std::string& host, long process, const std::string& text) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count() % 1000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y-%m-%d %H:%M:%S", &local);
  return fmt::format("{},{:03} [{}:{}] [INFO] {}", date.data(), milliseconds, host, process, text);
}

LogFile::LogFile(std::filesystem::path file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}

void LogFile::info(const std::string& text) {
  file_.append(log_line(clock_.wall(), host_name(), ::getpid(), text) + "\n");
}

}  // namespace mdgen::train
