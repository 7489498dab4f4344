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
  // The first that is not refused; null without any.
  const std::string* take_next(const std::vector<std::string>& refused) {
    while (next_ < free_.size() && taken_[next_]) ++next_;
    for (std::size_t index = next_; index < free_.size(); ++index)
      if (std::find(refused.begin(), refused.end(), free_[index]) == refused.end() && mark(index))
        return &free_[index];
    return nullptr;
  }
  // Those that are left and not refused.
  int left(const std::vector<std::string>& refused) const {
    int count = left();
    for (const std::string& worker : refused) {
      const auto found = std::find(free_.begin(), free_.end(), worker);
      if (found != free_.end() && !taken_[static_cast<std::size_t>(found - free_.begin())]) --count;
    }
    return count;
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

bool refuses(const Want& want, const std::string& worker) {
  return std::find(want.refused.begin(), want.refused.end(), worker) != want.refused.end();
}

}  // namespace

std::map<std::string, std::vector<std::string>> schedule(const std::vector<Want>& wants, const Pool& pool) {
  std::map<std::string, std::vector<std::string>> given;
  FreeList free(pool.free);
  bool held_back = false;
  for (const Want& want : wants) {
    if (!want.feasible(pool.total)) continue;
    const int left = free.left(want.refused);
    held_back |= want.min > left;
    if (held_back && want.min > 0) continue;
    const auto count = static_cast<std::size_t>(held_back ? 0 : std::clamp(want.max, 0, left));
    std::vector<std::string>& workers = given[want.job_id];
    for (const std::string& worker : want.prefer)
      if (workers.size() < count && !refuses(want, worker) && free.take(worker)) workers.push_back(worker);
    while (workers.size() < count) {
      const std::string* worker = free.take_next(want.refused);
      if (worker == nullptr) break;
      workers.push_back(*worker);
    }
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
