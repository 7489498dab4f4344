#include "services/client/metrics_text.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include "core/config/json.h"
#include "services/client/charts.h"
#include "services/client/format.h"
#include "services/client/table.h"

namespace mdgen::client {
namespace {

constexpr std::size_t kRoomForNumbers = 64;
constexpr std::size_t kLongestCurve = 60;
constexpr std::size_t kShortestCurve = 10;

using Points = std::map<std::int64_t, std::vector<std::pair<std::string, double>>>;

std::string number_text(double value) { return std::isfinite(value) ? fmt::format("{:.5g}", value) : "nan"; }

std::span<const double> values_of(const v1::MetricSeries& series) {
  return {series.values().data(), static_cast<std::size_t>(series.values_size())};
}

std::pair<double, double> range_of(std::span<const double> values) {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = low;
  for (double value : values) {
    low = std::fmin(low, value);  // a NaN gives way
    high = std::fmax(high, value);
  }
  return {low, high};
}

Points points_of(const v1::GetMetricsResponse& metrics) {
  Points points;
  for (const v1::MetricSeries& series : metrics.series())
    for (int i = 0; i < std::min(series.steps_size(), series.values_size()); ++i)
      points[series.steps(i)].emplace_back(series.name(), series.values(i));
  return points;
}

}  // namespace

std::string metrics_text(const v1::GetMetricsResponse& metrics, const Look& look) {
  const std::size_t room = look.columns > kRoomForNumbers ? look.columns - kRoomForNumbers : 0;
  const std::size_t width = look.columns == 0 ? 0 : std::clamp(room, kShortestCurve, kLongestCurve);
  Table table({"SERIES", "STEP", "LAST", "LOWEST", "HIGHEST", "POINTS", "CURVE"});
  for (const v1::MetricSeries& series : metrics.series()) {
    if (series.values().empty() || series.steps().empty()) continue;
    const std::span<const double> values = values_of(series);
    const auto [low, high] = range_of(values);
    table.add({series.name(),
               std::to_string(series.steps(series.steps_size() - 1)),
               number_text(values.back()),
               number_text(low),
               number_text(high),
               std::to_string(values.size()),
               {sparkline(values, width, look.utf8), Tint::kBusy}});
  }
  return table.empty() ? "no metrics yet\n" : table.text(look);
}

std::vector<std::string> point_lines(const v1::GetMetricsResponse& metrics) {
  std::vector<std::string> lines;
  for (const auto& [step, values] : points_of(metrics)) {
    std::string line = fmt::format("step {}", step);
    for (const auto& [name, value] : values)
      line += fmt::format("  {} {}", one_line(name), number_text(value));
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> point_objects(const v1::GetMetricsResponse& metrics) {
  std::vector<std::string> lines;
  for (const auto& [step, values] : points_of(metrics)) {
    config::Json json = {{"step", step}};
    for (const auto& [name, value] : values)
      json[name] = std::isfinite(value) ? config::Json(value) : nullptr;
    lines.push_back(json.dump(-1, ' ', false, config::Json::error_handler_t::replace));
  }
  return lines;
}

void append(v1::GetMetricsResponse& known, const v1::GetMetricsResponse& more) {
  known.set_last_step(std::max(known.last_step(), more.last_step()));
  for (const v1::MetricSeries& series : more.series()) {
    const auto same = std::find_if(known.mutable_series()->begin(), known.mutable_series()->end(),
                                   [&](const v1::MetricSeries& one) { return one.name() == series.name(); });
    v1::MetricSeries& target = same == known.mutable_series()->end() ? *known.add_series() : *same;
    target.set_name(series.name());
    target.mutable_steps()->MergeFrom(series.steps());
    target.mutable_values()->MergeFrom(series.values());
  }
}

}  // namespace mdgen::client
