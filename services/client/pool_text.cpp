#include "services/client/pool_text.h"

#include <google/protobuf/util/time_util.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "services/client/charts.h"
#include "services/client/format.h"
#include "services/client/table.h"

namespace mdgen::client {
namespace {

constexpr std::size_t kBar = 14;
constexpr double kSilentAfter = 3;  // seconds without a beat that are shown in red

Tint tint_of_worker(const std::string& state) {
  if (state == "FREE") return Tint::kGood;
  if (state == "DRAINING") return Tint::kWarn;
  return Tint::kBusy;
}

std::string count_text(int count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string pool_line(const v1::GetQueueResponse& queue) {
  return fmt::format("{}, {} free; {} waiting", count_text(queue.total_workers(), "worker"),
                     queue.free_workers(), count_text(queue.entries_size(), "job"));
}

std::string states_line(const v1::ListJobsResponse& jobs) {
  std::map<std::string, int> counts;
  for (const v1::Job& job : jobs.jobs()) ++counts[state_name(job.state())];
  std::string line;
  for (const auto& [state, count] : counts)
    line += fmt::format("{}{} {}", line.empty() ? "" : ", ", count, state);
  return line.empty() ? "no jobs under way" : line;
}

std::string active_jobs_text(const v1::ListJobsResponse& jobs, const Look& look) {
  Table table({"ID", "NAME", "STATE", "PROGRESS", "STEP", "LOSS", "TOKENS/S", "CEILING", "ETA", "WORKERS",
               "RESTARTS", "WHY"});
  for (const v1::Job& job : jobs.jobs()) {
    const double done = fraction_done(job);
    const std::string why = job.queue().position() > 0
                                ? fmt::format("#{} {}", job.queue().position(),
                                              reason_text(job.queue().reason(), job.queue().message()))
                                : reason_text(job.reason(), job.message());
    table.add({job.id(),
               job.name(),
               {state_name(job.state()), tint_of(job.state())},
               progress_bar(done, kBar, look.utf8) + fmt::format(" {:3.0f}%", std::floor(100 * done)),
               steps_text(job),
               job.has_loss() ? fmt::format("{:.4g}", job.loss()) : "-",
               job.tokens_per_second() > 0 ? fmt::format("{:.0f}", job.tokens_per_second()) : "-",
               job.ceiling_ratio() > 0 ? fmt::format("{:.1f}%", 100 * job.ceiling_ratio()) : "",
               job.eta_seconds() > 0 ? duration_text(job.eta_seconds()) : "-",
               std::to_string(job.workers()),
               std::to_string(job.restarts()),
               job.state() == v1::JOB_STATE_RUNNING ? "" : why});
  }
  return table.text(look);
}

}  // namespace

std::string workers_text(const v1::ListWorkersResponse& workers, const Look& look) {
  if (workers.workers().empty()) return "no workers\n";
  Table table({"ID", "HOST", "DEVICE", "LABELS", "VERSION", "STATE", "JOB", "RANK", "PHASE", "STEP", "BEAT",
               "SLOWNESS"});
  for (const v1::Worker& worker : workers.workers()) {
    const bool has_rank = !worker.job_id().empty() && worker.rank() >= 0;
    table.add({worker.id(),
               worker.host(),
               worker.device(),
               labels_text(worker.labels()),
               worker.version(),
               {worker.state(), tint_of_worker(worker.state())},
               worker.job_id().empty() ? "-" : worker.job_id(),
               has_rank ? std::to_string(worker.rank()) : "-",
               has_rank ? phase_name(worker.phase()) : "-",
               has_rank ? std::to_string(worker.step()) : "-",
               {fmt::format("{:.1f}s", worker.beat_age_seconds()),
                worker.beat_age_seconds() > kSilentAfter ? Tint::kBad : Tint::kNone},
               {worker.slowness() > 0 ? fmt::format("{:.2f}", worker.slowness()) : "-",
                worker.straggler() ? Tint::kWarn : Tint::kNone}});
  }
  return table.text(look);
}

std::string queue_text(const v1::GetQueueResponse& queue, WallTime now, const Look& look) {
  std::string text = pool_line(queue) + "\n";
  if (queue.entries().empty()) return text;
  Table table({"POSITION", "ID", "NAME", "OWNER", "PRIORITY", "WORKERS", "WAITS", "REASON"});
  for (const v1::QueueEntry& entry : queue.entries()) {
    const std::string workers = entry.min_workers() == entry.max_workers()
                                    ? std::to_string(entry.min_workers())
                                    : fmt::format("{}:{}", entry.min_workers(), entry.max_workers());
    table.add({std::to_string(entry.queue().position()), entry.job_id(), entry.name(), entry.owner(),
               std::to_string(entry.priority()), workers,
               entry.queue().has_since()
                   ? duration_text(std::max(0.0, age_seconds(entry.queue().since(), now)))
                   : "-",
               reason_text(entry.queue().reason(), entry.queue().message())});
  }
  return text + table.text(look);
}

std::string top_text(const Overview& overview, WallTime now, const Look& look) {
  const auto since_1970 = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  const google::protobuf::Timestamp time = google::protobuf::util::TimeUtil::SecondsToTimestamp(since_1970);
  std::string text = tinted("mdgenctl top", Tint::kHead, look) + "  " + one_line(overview.address) + "  " +
                     clock_text(time) + "  " + states_line(overview.jobs) + "; " + pool_line(overview.queue) +
                     "\n";
  if (!overview.jobs.jobs().empty()) text += "\n" + active_jobs_text(overview.jobs, look);
  return text + "\n" + workers_text(overview.workers, look);
}

}  // namespace mdgen::client
