#include "services/coordinator/retention.h"

#include <algorithm>
#include <utility>

namespace mdgen::coordinator {

std::vector<Forgotten> to_forget(std::vector<EndedJob> ended, const Retention& retention, Clock::Wall now) {
  std::stable_sort(ended.begin(), ended.end(),
                   [](const EndedJob& a, const EndedJob& b) { return a.ended < b.ended; });
  auto surplus = static_cast<std::int64_t>(ended.size()) - retention.keep_jobs;
  std::vector<Forgotten> forgotten;
  for (EndedJob& job : ended) {
    const bool old = retention.keep_for.count() > 0 && now - job.ended >= retention.keep_for;
    if (job.awaited || (surplus <= 0 && !old)) continue;
    const std::string why =
        old ? "it ended more than " + std::to_string(retention.keep_for.count() / 24) + " days ago"
            : "more than " + std::to_string(retention.keep_jobs) + " jobs have ended";
    --surplus;
    forgotten.push_back({std::move(job.id), why});
  }
  return forgotten;
}

}  // namespace mdgen::coordinator
