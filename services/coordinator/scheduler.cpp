#include "services/coordinator/scheduler.h"

#include <algorithm>

namespace mdgen::coordinator {

std::map<std::string, std::vector<std::string>> schedule(const std::vector<Want>& wants, const Pool& pool) {
  std::map<std::string, std::vector<std::string>> given;
  auto next = pool.free.begin();
  for (const Want& want : wants) {
    const int left = static_cast<int>(pool.free.end() - next);
    if (want.min > pool.total) continue;
    if (want.min > left) break;
    const int count = std::min(want.max, left);
    given[want.job_id].assign(next, next + count);
    next += count;
  }
  return given;
}

bool can_give(const std::vector<Want>& wants, const PoolSize& size) {
  const auto first =
      std::find_if(wants.begin(), wants.end(), [&](const Want& want) { return want.min <= size.total; });
  return first != wants.end() && size.free > 0 && first->min <= size.free;
}

std::string waiting_reason(const Want& want, const PoolSize& size) {
  return want.min > size.total ? "Unsatisfiable" : "WaitingForWorkers";
}

std::string waiting_message(const Want& want, const PoolSize& size) {
  return "needs " + std::to_string(want.min) + " free workers; the pool has " + std::to_string(size.total) +
         ", " + std::to_string(size.free) + " of them free";
}

}  // namespace mdgen::coordinator
