// A metrics.jsonl (core/train/metrics_log.h) as far as it has been read. Not thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "services/coordinator/metric_series.h"

namespace mdgen::coordinator {

class MetricsFile {
 public:
  static constexpr std::size_t kMostNames = 256;

  // Reads what has been appended since the last time; a last line without its end is left for the next. A
  // file that was replaced, cut or written anew is read from its beginning; one that is not there is empty.
  // Lines that are no JSON object with a step are passed over. Throws Error(kUnavailable) when it cannot be
  // read.
  void update(const std::filesystem::path& file);

  const std::map<std::string, MetricSeries, std::less<>>& series() const { return series_; }
  std::int64_t last_step() const { return last_step_; }
  std::size_t bytes() const;

 private:
  struct Identity {
    std::uint64_t device = 0;
    std::uint64_t number = 0;
    bool operator==(const Identity&) const = default;
  };
  void read_from(int descriptor, std::int64_t size);
  bool is_continued(int descriptor, std::int64_t size) const;
  void take_line(std::string_view line);

  Identity identity_;
  std::int64_t offset_ = 0;  // of the first byte that has not been taken in
  std::string before_;       // the last bytes before it, to know the file again
  std::map<std::string, MetricSeries, std::less<>> series_;
  std::int64_t last_step_ = 0;
};

}  // namespace mdgen::coordinator
