#include <algorithm>
#include <set>

#include "core/checkpoint/retention.h"

namespace mdgen::checkpoint {
namespace {

using Candidates = std::vector<Candidate>;

Candidates newest_first(Candidates candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.name > b.name; });
  return candidates;
}

std::optional<Name> newest_verified(const Candidates& sorted) {
  const auto found =
      std::find_if(sorted.begin(), sorted.end(), [](const Candidate& one) { return one.verified; });
  return found == sorted.end() ? std::nullopt : std::optional(found->name);
}

std::set<Name> kept_for_good(const Candidates& sorted, const Policy& policy) {
  std::set<Name> kept;
  Candidates losses;
  for (const Candidate& one : sorted) {
    if (one.damaged) continue;
    if (policy.keep_every > 0 && one.name.step % policy.keep_every == 0) kept.insert(one.name);
    if (one.val_loss) losses.push_back(one);
  }
  std::stable_sort(losses.begin(), losses.end(),
                   [](const Candidate& a, const Candidate& b) { return *a.val_loss < *b.val_loss; });
  for (std::size_t i = 0; i < losses.size() && i < static_cast<std::size_t>(std::max(0, policy.keep_best));
       ++i)
    kept.insert(losses[i].name);
  return kept;
}

}  // namespace

std::vector<Name> superfluous(const Candidates& candidates, const Policy& policy) {
  const Candidates sorted = newest_first(candidates);
  const auto safe = newest_verified(sorted);
  if (!safe || policy.keep_last <= 0) return {};
  std::set<Name> kept = kept_for_good(sorted, policy);
  int last = 0;
  for (const Candidate& one : sorted)
    if (!one.damaged && last++ < policy.keep_last) kept.insert(one.name);
  std::vector<Name> names;
  for (const Candidate& one : sorted)
    if (one.name < *safe && !one.pinned && !kept.contains(one.name)) names.push_back(one.name);
  return names;
}

std::vector<Name> dispensable(const Candidates& candidates, const Policy& policy) {
  const Candidates sorted = newest_first(candidates);
  const auto safe = newest_verified(sorted);
  if (!safe || policy.keep_last <= 0) return {};
  const std::set<Name> kept = kept_for_good(sorted, policy);
  std::vector<Name> names;
  for (auto one = sorted.rbegin(); one != sorted.rend(); ++one)
    if (one->name < *safe && !one->pinned && !kept.contains(one->name)) names.push_back(one->name);
  return names;
}

}  // namespace mdgen::checkpoint
