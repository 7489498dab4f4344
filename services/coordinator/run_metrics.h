// Loss, learning rate, … of runs, from their folders' metrics.jsonl. What has been read stays in memory for
// the runs that were asked for last, so that a question costs what has been appended since the one before.
#pragma once

#include <cstddef>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "mdgen/v1/job_service.pb.h"

namespace mdgen::coordinator {

// Thread-safe.
class RunMetrics {
 public:
  static constexpr int kDefaultPoints = 1000;
  static constexpr int kMostPoints = 10'000;

  explicit RunMetrics(std::size_t most_runs = 64, std::size_t most_bytes = std::size_t{128} << 20U)
      : most_runs_(most_runs), most_bytes_(most_bytes) {}

  // Throws Error: kInvalidArgument for max_points or after_step below 0, kUnavailable when the file cannot be
  // read. A run without metrics has no series; neither has a name that it does not know.
  v1::GetMetricsResponse get(const std::filesystem::path& run_folder, const v1::GetMetricsRequest& request);
  std::size_t runs() const;

 private:
  struct Run;
  using Order = std::list<std::shared_ptr<Run>>;

  std::shared_ptr<Run> find(const std::string& folder);
  void shrink();

  const std::size_t most_runs_;
  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  Order order_;  // the last used first
  std::unordered_map<std::string, Order::iterator> by_folder_;
};

}  // namespace mdgen::coordinator
