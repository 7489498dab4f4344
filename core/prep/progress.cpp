#include "core/prep/progress.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace mdgen::prep {

Progress::Progress(std::size_t entries, std::uint64_t bytes, Clock::Steady start)
    : entries_(entries), bytes_(bytes), start_(start) {}

std::string Progress::text(Clock::Steady now) const {
  const double part =
      bytes_ == 0 ? 1 : static_cast<double>(std::min(done_, bytes_)) / static_cast<double>(bytes_);
  std::string text = fmt::format("{} of {} entries, {:.0f} %", ended_, entries_, 100 * part);
  const std::chrono::duration<double> elapsed = now - start_;
  constexpr double kKnown = 0.001;
  if (part > kKnown && part < 1) {
    const auto left = std::chrono::round<std::chrono::seconds>(elapsed * ((1 - part) / part));
    text += ", " + duration_text(left) + " left";
  }
  return text;
}

std::string duration_text(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  constexpr int kMinute = 60;
  constexpr int kHour = 3600;
  if (seconds < kMinute) return fmt::format("{} s", seconds);
  if (seconds < kHour) return fmt::format("{} min {} s", seconds / kMinute, seconds % kMinute);
  return fmt::format("{} h {} min", seconds / kHour, seconds % kHour / kMinute);
}

}  // namespace mdgen::prep
