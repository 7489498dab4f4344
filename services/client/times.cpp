#include "services/client/times.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <cmath>

namespace mdgen::client {
namespace {

using google::protobuf::util::TimeUtil;

double since_1970(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

std::optional<double> seconds_of_unit(std::string_view unit) {
  if (unit.empty() || unit == "s") return 1;
  if (unit == "m") return 60;
  if (unit == "h") return 3600;
  if (unit == "d") return 86400;
  return std::nullopt;
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "?";
  const auto total = static_cast<long long>(std::llround(seconds));
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600) return fmt::format("{}m{:02}s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{}h{:02}m", total / 3600, total / 60 % 60);
  return fmt::format("{}d{:02}h", total / 86400, total / 3600 % 24);
}

std::string clock_text(const google::protobuf::Timestamp& time) {
  return TimeUtil::ToString(time).substr(11, 8) + "Z";  // of 2026-11-23T09:15:02.123Z
}

double age_seconds(const google::protobuf::Timestamp& time, WallTime now) {
  return since_1970(now) - static_cast<double>(time.seconds()) - time.nanos() * 1e-9;
}

std::string when_text(const google::protobuf::Timestamp& time, WallTime now) {
  const std::string absolute = TimeUtil::ToString(time).substr(0, 19) + "Z";
  const double age = age_seconds(time, now);
  return absolute + (age < 0 ? " (in " + duration_text(-age) + ")" : " (" + duration_text(age) + " ago)");
}

std::optional<double> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [rest, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    const std::size_t letters = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = seconds_of_unit(text.substr(0, letters));
    if (!unit) return std::nullopt;
    total += number * *unit;
    text.remove_prefix(letters);
  }
  return total;
}

std::optional<google::protobuf::Timestamp> parse_since(const std::string& text, WallTime now) {
  google::protobuf::Timestamp time;
  if (const auto ago = parse_duration(text)) {
    const double start = std::max(0.0, since_1970(now) - *ago);
    if (!std::isfinite(start)) return std::nullopt;
    return TimeUtil::NanosecondsToTimestamp(static_cast<std::int64_t>(start * 1e3) * 1'000'000);
  }
  if (TimeUtil::FromString(text, &time)) return time;
  return std::nullopt;
}

}  // namespace mdgen::client
