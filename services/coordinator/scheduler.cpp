#include "services/coordinator/scheduler.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace mdgen::coordinator {

namespace {

// Free workers, in order; some are taken out of their turn.
class FreeList {
 public:
  explicit FreeList(const std::vector<std::string>& free) : free_(free), taken_(free.size()) {
    for (std::size_t index = 0; index < free.size(); ++index) index_.emplace(free[index], index);
    left_ = free.size();
  }

  bool take(const std::string& worker) {
    const auto found = index_.find(worker);
    return found != index_.end() && mark(found->second);
  }
  // The first that is not refused; null without any.
  const std::string* take_next(const std::set<std::string>& refused) {
    while (next_ < free_.size() && taken_[next_]) ++next_;
    for (std::size_t index = next_; index < free_.size(); ++index)
      if (!taken_[index] && !refused.contains(free_[index]) && mark(index)) return &free_[index];
    return nullptr;
  }
  // Those that are left and not refused.
  int left(const std::set<std::string>& refused) const {
    auto count = static_cast<int>(left_);
    for (const std::string& worker : refused) {
      const auto found = index_.find(worker);
      if (found != index_.end() && !taken_[found->second]) --count;
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
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<bool> taken_;
  std::size_t left_ = 0;
  std::size_t next_ = 0;
};

}  // namespace

std::map<std::string, std::vector<std::string>> schedule(const std::vector<Want>& wants, const Pool& pool) {
  std::map<std::string, std::vector<std::string>> given;
  FreeList free(pool.free);
  for (const Want& want : wants) {
    if (!want.feasible(pool.total)) continue;
    const int left = free.left(want.refused);
    if (want.min > left) {
      while (free.take_next(want.refused) != nullptr) continue;  // kept for it
      continue;
    }
    const auto count = static_cast<std::size_t>(std::clamp(want.max, 0, left));
    std::vector<std::string>& workers = given[want.job_id];
    for (const std::string& worker : want.prefer)
      if (workers.size() < count && !want.refused.contains(worker) && free.take(worker))
        workers.push_back(worker);
    while (workers.size() < count) {
      const std::string* worker = free.take_next(want.refused);
      if (worker == nullptr) break;
      workers.push_back(*worker);
    }
  }
  return given;
}

bool can_give(const std::vector<Want>& wants, const PoolSize& size) {
  bool kept = false;
  for (const Want& want : wants) {
    if (!want.feasible(size.total)) continue;
    if (want.min == 0) return true;
    if (!kept && size.free > 0 && want.min <= size.free - want.refused_free) return true;
    kept |= want.refused_free == 0;
  }
  return false;
}

}  // namespace mdgen::coordinator
