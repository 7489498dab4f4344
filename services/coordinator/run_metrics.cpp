#include "services/coordinator/run_metrics.h"

#include <algorithm>
#include <atomic>

#include "core/base/error.h"
#include "services/coordinator/metrics_file.h"

namespace mdgen::coordinator {
namespace {

void fill(v1::MetricSeries& target, const std::string& name, const std::vector<MetricPoint>& points) {
  target.set_name(name);
  for (const MetricPoint& point : points) {
    target.add_steps(point.step);
    target.add_values(point.value);
  }
}

}  // namespace

struct RunMetrics::Run {
  explicit Run(std::string name) : folder(std::move(name)) {}
  const std::string folder;
  std::atomic<std::size_t> bytes{0};
  std::mutex mutex;
  MetricsFile file;
};

v1::GetMetricsResponse RunMetrics::get(const std::filesystem::path& run_folder,
                                       const v1::GetMetricsRequest& request) {
  if (request.max_points() < 0) throw Error(ErrorCode::kInvalidArgument, "max_points: must be at least 0");
  if (request.after_step() < 0) throw Error(ErrorCode::kInvalidArgument, "after_step: must be at least 0");
  const int most = request.max_points() == 0 ? kDefaultPoints : std::min(request.max_points(), kMostPoints);
  const std::int64_t after = request.after_step() == 0 ? -1 : request.after_step();
  const std::shared_ptr<Run> run = find(run_folder.string());
  v1::GetMetricsResponse response;
  {
    const std::lock_guard lock(run->mutex);
    run->file.update(run_folder / "metrics.jsonl");
    run->bytes = run->file.bytes();
    for (const auto& [name, series] : run->file.series()) {
      const auto& names = request.names();
      if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
      fill(*response.add_series(), name, series.points(after, static_cast<std::size_t>(most)));
    }
    response.set_last_step(run->file.last_step());
  }
  shrink();
  return response;
}

std::shared_ptr<RunMetrics::Run> RunMetrics::find(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (const auto known = by_folder_.find(folder); known != by_folder_.end()) {
    order_.splice(order_.begin(), order_, known->second);
    return order_.front();
  }
  order_.push_front(std::make_shared<Run>(folder));
  by_folder_[folder] = order_.begin();
  return order_.front();
}

void RunMetrics::shrink() {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = 0;
  for (const auto& run : order_) bytes += run->bytes;
  while (order_.size() > 1 && (order_.size() > most_runs_ || bytes > most_bytes_)) {
    bytes -= order_.back()->bytes;
    by_folder_.erase(order_.back()->folder);
    order_.pop_back();
  }
}

std::size_t RunMetrics::runs() const {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

}  // namespace mdgen::coordinator
