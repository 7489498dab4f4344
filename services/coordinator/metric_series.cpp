#include "services/coordinator/metric_series.h"

#include <cmath>

namespace mdgen::coordinator {
namespace {

bool is_smaller(const MetricPoint& a, const MetricPoint& b) {
  return std::isnan(b.value) ? !std::isnan(a.value) : a.value < b.value;
}

// Two points in the order of their steps, one when they are the same.
void append_pair(std::vector<MetricPoint>& points, const MetricPoint& a, const MetricPoint& b) {
  points.push_back(a.step <= b.step ? a : b);
  if (a.step != b.step) points.push_back(a.step <= b.step ? b : a);
}

}  // namespace

std::vector<MetricPoint> down_sample(std::vector<MetricPoint> points, std::size_t most) {
  if (points.size() <= most) return points;
  if (most < 4) return {points.end() - static_cast<std::ptrdiff_t>(most), points.end()};
  std::vector<MetricPoint> kept{points.front()};
  const std::size_t inner = points.size() - 2;
  const std::size_t parts = (most - 2) / 2;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = 1 + part * inner / parts;
    const std::size_t end = 1 + (part + 1) * inner / parts;
    std::size_t smallest = begin;
    std::size_t largest = begin;
    for (std::size_t i = begin + 1; i < end; ++i) {
      if (is_smaller(points[i], points[smallest])) smallest = i;
      if (is_smaller(points[largest], points[i])) largest = i;
    }
    append_pair(kept, points[smallest], points[largest]);
  }
  kept.push_back(points.back());
  return kept;
}

void MetricSeries::Span::join(const Span& later) {
  if (is_smaller(later.smallest, smallest)) smallest = later.smallest;
  if (is_smaller(largest, later.largest)) largest = later.largest;
  points += later.points;
}

void MetricSeries::add(MetricPoint point) {
  if (!std::isfinite(point.value)) point.value = std::nan("");
  if (!newest_.empty() && point.step <= newest_.back().step) {
    if (point.step == newest_.back().step) newest_.back() = point;
    return;
  }
  newest_.push_back(point);
  if (newest_.size() <= kNewest) return;
  age(newest_.front());
  newest_.pop_front();
}

void MetricSeries::age(MetricPoint point) {
  if (!spans_.empty() && spans_.back().points < width_) return spans_.back().join({point, point, 1});
  if (spans_.size() == kSpans) {
    for (std::size_t i = 0; i < kSpans / 2; ++i) {
      spans_[i] = spans_[2 * i];
      spans_[i].join(spans_[2 * i + 1]);
    }
    spans_.resize(kSpans / 2);
    width_ *= 2;
  }
  spans_.push_back({point, point, 1});
}

std::vector<MetricPoint> MetricSeries::points(std::int64_t after_step, std::size_t most) const {
  std::vector<MetricPoint> all;
  for (const Span& span : spans_) append_pair(all, span.smallest, span.largest);
  all.insert(all.end(), newest_.begin(), newest_.end());
  std::erase_if(all, [&](const MetricPoint& point) { return point.step <= after_step; });
  return down_sample(std::move(all), most);
}

}  // namespace mdgen::coordinator
