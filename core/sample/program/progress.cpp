#include "core/sample/program/progress.h"

#include <cmath>
#include <cstdio>

namespace mdgen::sample {
namespace {

constexpr double kBetweenLines = 5;  // seconds

double seconds_between(Clock::Steady from, Clock::Steady to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + std::to_string(whole % 60) + " s";
  return std::to_string(whole / 3600) + " h " + std::to_string(whole % 3600 / 60) + " min";
}

Progress::Progress(double total, const Clock& clock)
    : total_(total), clock_(clock), start_(clock.steady()), last_(start_) {}

std::optional<std::string> Progress::report(double done) {
  const Clock::Steady now = clock_.steady();
  if (done <= 0 || done >= total_ || seconds_between(last_, now) < kBetweenLines) return std::nullopt;
  last_ = now;
  const double left = seconds_between(start_, now) * (total_ - done) / done;
  char text[128];
  std::snprintf(text, sizeof text, "%.4g of %.4g proteins (%.0f %%), ", done, total_, 100 * done / total_);
  return text + duration_text(left) + " left";
}

}  // namespace mdgen::sample
