#include "services/coordinator/scheduler.h"

#include <algorithm>

namespace mdgen::coordinator {

namespace {

// Free workers, in order; some are taken out of their turn.
class FreeList {
 public:
  explicit FreeList(const std::vector<std::string>& free)
      : free_(free), taken_(free.size()), left_(free.size()) {}

  int left() const { return static_cast<int>(left_); }
  bool take(const std::string& worker) {
    const auto found = std::find(free_.begin(), free_.end(), worker);
    if (found == free_.end()) return false;
    return mark(static_cast<std::size_t>(found - free_.begin()));
  }
  const std::string& take_next() {
    while (!mark(next_)) ++next_;
    return free_[next_];
  }

 private:
  bool mark(std::size_t index) {
    if (taken_[index]) return false;
    taken_[index] = true;
    --left_;
    return true;
  }

  const std::vector<std::string>& free_;
  std::vector<bool> taken_;
  std::size_t left_;
  std::size_t next_ = 0;
};

}  // namespace

std::map<std::string, std::vector<std::string>> schedule(const std::vector<Want>& wants, const Pool& pool) {
  std::map<std::string, std::vector<std::string>> given;
  FreeList free(pool.free);
  bool held_back = false;
  for (const Want& want : wants) {
    if (!want.feasible(pool.total)) continue;
    held_back |= want.min > free.left();
    if (held_back && want.min > 0) continue;
    const auto count = static_cast<std::size_t>(held_back ? 0 : std::clamp(want.max, 0, free.left()));
    std::vector<std::string>& workers = given[want.job_id];
    for (const std::string& worker : want.prefer)
      if (workers.size() < count && free.take(worker)) workers.push_back(worker);
    while (workers.size() < count) workers.push_back(free.take_next());
  }
  return given;
}

bool can_give(const std::vector<Want>& wants, const PoolSize& size) {
  if (std::any_of(wants.begin(), wants.end(),
                  [&](const Want& want) { return want.min == 0 && want.feasible(size.total); }))
    return true;
  const auto first =
      std::find_if(wants.begin(), wants.end(), [&](const Want& want) { return want.feasible(size.total); });
  return first != wants.end() && size.free > 0 && first->min <= size.free;
}

std::string waiting_reason(const Want& want, const PoolSize& size) {
  return !want.feasible(size.total) ? "Unsatisfiable" : "WaitingForWorkers";
}

std::string waiting_message(const Want& want, const PoolSize& size) {
  return "needs " + std::to_string(want.min) + " free workers; the pool has " + std::to_string(size.total) +
         ", " + std::to_string(size.free) + " of them free";
}

}  // namespace mdgen::coordinator
