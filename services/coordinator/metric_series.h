// One series of a run's metrics in bounded memory: the newest points as they are, those before them as the
// smallest and the largest value of so many neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace mdgen::coordinator {

struct MetricPoint {
  std::int64_t step = 0;
  double value = 0;  // NaN: it was not finite; counts as the largest of all
};

// At most `most` (at least 1) of `points`, in order: the first, the last, and of each of equal parts in
// between the smallest and the largest.
std::vector<MetricPoint> down_sample(std::vector<MetricPoint> points, std::size_t most);

// Not thread-safe.
class MetricSeries {
 public:
  static constexpr std::size_t kNewest = 4096;
  static constexpr std::size_t kSpans = 2048;

  // Steps come in order. One that was there just before takes its place; one from further back is ignored.
  void add(MetricPoint point);
  // Those beyond `after_step`, at most `most`.
  std::vector<MetricPoint> points(std::int64_t after_step, std::size_t most) const;
  std::size_t bytes() const { return spans_.size() * sizeof(Span) + newest_.size() * sizeof(MetricPoint); }

 private:
  struct Span {
    MetricPoint smallest;
    MetricPoint largest;
    std::size_t points = 1;
    void join(const Span& later);
  };
  void age(MetricPoint point);

  std::deque<MetricPoint> newest_;
  std::vector<Span> spans_;  // each of `width_` points, but for the last
  std::size_t width_ = 1;
};

}  // namespace mdgen::coordinator
