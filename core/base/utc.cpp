#include "core/base/utc.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <ctime>

namespace mdgen {
namespace {

using Milliseconds = std::chrono::milliseconds;

std::string without_zone(std::chrono::system_clock::time_point moment) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(moment);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts)};
}

}  // namespace

std::string utc_text(std::chrono::system_clock::time_point moment) { return without_zone(moment) + "Z"; }

std::string utc_text_with_milliseconds(std::chrono::system_clock::time_point moment) {
  const auto all = std::chrono::floor<Milliseconds>(moment.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(all);
  return without_zone(moment) + fmt::format(".{:03}Z", (all - seconds).count());
}

}  // namespace mdgen
