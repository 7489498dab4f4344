#include "services/coordinator/queue_text.h"

#include <algorithm>
#include <utility>

namespace mdgen::coordinator {
namespace {

// "2 free workers with gpu=h200"
std::string needs(const Want& want) {
  const std::string free = want.min == 1 ? " free worker" : " free workers";
  return "needs " + std::to_string(want.min) + free +
         (want.selector.empty() ? "" : " with " + labels_text(want.selector));
}

std::string has(const Want& want, const PoolSize& size) {
  const std::string pool = "; the pool has " + std::to_string(size.total);
  if (want.refused_total == 0) return pool + ", " + std::to_string(size.free) + " of them free";
  return pool + ", of which it can use " + std::to_string(size.total - want.refused_total) + ", " +
         std::to_string(size.free - want.refused_free) + " of them free";
}

std::string unsatisfiable(const Want& want, const PoolFacts& facts) {
  std::string missing;
  for (const auto& [key, value] : want.selector)
    if (facts.having(Labels{{key, value}}) == 0)
      missing += (missing.empty() ? "" : " and ") + labels_text(Labels{{key, value}});
  return needs(want) + has(want, facts.size) + (missing.empty() ? "" : "; no worker has " + missing);
}

// Whether a worker could have the labels of both.
bool rivals(const Want& a, const Want& b) {
  return std::none_of(a.selector.begin(), a.selector.end(), [&](const auto& label) {
    const auto other = b.selector.find(label.first);
    return other != b.selector.end() && !label.second.empty() && !other->second.empty() &&
           label.second != other->second;
  });
}

}  // namespace

std::vector<Waiting> explain_queue(const std::vector<Want>& wants, const PoolFacts& facts) {
  std::vector<Waiting> waiting;
  std::vector<const Want*> before;
  for (const Want& want : wants) {
    if (want.min == 0) continue;
    if (!want.feasible(facts.size.total)) {
      waiting.push_back({want.job_id, 0, "Unsatisfiable", unsatisfiable(want, facts)});
      continue;
    }
    const auto ahead =
        std::find_if(before.rbegin(), before.rend(), [&](const Want* other) { return rivals(*other, want); });
    Waiting one{want.job_id, static_cast<int>(before.size()) + 1, "WaitingForWorkers",
                needs(want) + has(want, facts.size)};
    if (ahead != before.rend()) {
      one.reason = "BehindOthers";
      one.message += "; behind " + facts.who((*ahead)->job_id);
    }
    waiting.push_back(std::move(one));
    before.push_back(&want);
  }
  return waiting;
}

}  // namespace mdgen::coordinator
