#include "services/client/charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

namespace mdgen::client {
namespace {

constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<const char*, 8> kAscii = {"_", ".", "-", "~", "=", "+", "*", "#"};
constexpr std::array<const char*, 8> kEighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};

double mean_of(std::span<const double> values) {
  double sum = 0;
  std::size_t count = 0;
  for (double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

std::vector<double> pieces_of(std::span<const double> values, std::size_t count) {
  std::vector<double> pieces;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = i * values.size() / count;
    const std::size_t last = (i + 1) * values.size() / count;
    pieces.push_back(mean_of(values.subspan(first, last - first)));
  }
  return pieces;
}

}  // namespace

std::string progress_bar(double fraction, std::size_t width, bool utf8) {
  if (width < 3) return "";
  const std::size_t room = width - 2;
  const double part = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  if (!utf8) {
    const auto done = static_cast<std::size_t>(part * static_cast<double>(room));
    const bool has_head = done > 0 && done < room;
    return "[" + std::string(has_head ? done - 1 : done, '=') + (has_head ? ">" : "") +
           std::string(room - done, ' ') + "]";
  }
  const auto eighths = static_cast<std::size_t>(part * static_cast<double>(room) * 8);
  std::string bar = "[";
  for (std::size_t i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kEighths[eighths % 8];
  const std::size_t filled = eighths / 8 + (eighths % 8 > 0 ? 1 : 0);
  return bar + std::string(room - filled, ' ') + "]";
}

std::string sparkline(std::span<const double> values, std::size_t width, bool utf8) {
  const std::vector<double> pieces = pieces_of(values, std::min(width, values.size()));
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (double piece : pieces) {
    if (!std::isfinite(piece)) continue;
    low = std::min(low, piece);
    high = std::max(high, piece);
  }
  std::string line;
  for (double piece : pieces) {
    if (!std::isfinite(piece)) {
      line += "!";
      continue;
    }
    const double height = high > low ? (piece - low) / (high - low) : 0.5;
    const auto level = std::min<std::size_t>(7, static_cast<std::size_t>(height * 8));
    line += utf8 ? kBlocks[level] : kAscii[level];
  }
  return line;
}

}  // namespace mdgen::client
