#include "services/coordinator/elastic.h"

#include <algorithm>

namespace mdgen::coordinator {
namespace {

// Who gives first: the lowest priority, among equals the youngest.
std::vector<const Holding*> givers(const std::vector<Holding>& holdings) {
  std::vector<const Holding*> list;
  for (auto holding = holdings.rbegin(); holding != holdings.rend(); ++holding)
    if (holding->steady) list.push_back(&*holding);
  std::stable_sort(list.begin(), list.end(),
                   [](const Holding* a, const Holding* b) { return a->priority < b->priority; });
  return list;
}

std::vector<Change> grow(const std::vector<Holding>& holdings, int free) {
  std::vector<const Holding*> takers;
  for (const Holding& holding : holdings)
    if (holding.steady && holding.rested && holding.workers < holding.max && free > holding.useless)
      takers.push_back(&holding);
  std::stable_sort(takers.begin(), takers.end(),
                   [](const Holding* a, const Holding* b) { return a->priority > b->priority; });
  std::vector<Change> changes;
  for (const Holding* taker : takers) {
    if (free <= 0) break;
    free -= taker->max - taker->workers;
    changes.emplace_back(Grow{taker->job_id});
  }
  return changes;
}

// Workers that the head of the queue could use.
int of_use(const Holding& holding) { return holding.fits < 0 ? holding.workers : holding.fits; }

// Which of its workers a job gives back is not known before: what it has above its minimum counts only where
// all of them would do.
int surplus_of(const Holding& holding) {
  return of_use(holding) < holding.workers ? 0 : std::max(0, holding.workers - holding.min);
}

std::vector<Change> reclaim(const std::vector<const Holding*>& givers, int missing) {
  std::vector<Change> changes;
  for (const Holding* giver : givers) {
    const int given = std::min(missing, surplus_of(*giver));
    if (given <= 0) continue;
    changes.emplace_back(Shrink{giver->job_id, giver->workers - given});
    missing -= given;
  }
  return changes;
}

// The victims: those that are not needed after all are let off, the highest priority first.
std::vector<const Holding*> victims(const std::vector<const Holding*>& givers, const Want& head,
                                    int missing) {
  std::vector<const Holding*> chosen;
  int surplus_of_others = 0;
  for (const Holding* giver : givers) surplus_of_others += surplus_of(*giver);
  int gained = 0;
  const auto total = [&] { return gained + surplus_of_others; };
  for (const Holding* giver : givers) {
    if (giver->priority >= head.priority || total() >= missing) break;
    if (of_use(*giver) == 0) continue;
    chosen.push_back(giver);
    gained += of_use(*giver);
    surplus_of_others -= surplus_of(*giver);
  }
  if (total() < missing) return {};
  for (auto victim = chosen.rbegin(); victim != chosen.rend();) {
    const int only_min = of_use(**victim) - surplus_of(**victim);
    if (total() - only_min < missing) {
      ++victim;
      continue;
    }
    gained -= of_use(**victim);
    surplus_of_others += surplus_of(**victim);
    victim = std::make_reverse_iterator(chosen.erase(std::next(victim).base()));
  }
  return chosen;
}

}  // namespace

std::vector<Change> rebalance(const std::vector<Holding>& holdings, const std::vector<Want>& queue,
                              const PoolSize& size) {
  const auto head =
      std::find_if(queue.begin(), queue.end(), [&](const Want& want) { return want.feasible(size.total); });
  if (head == queue.end()) return grow(holdings, size.free);

  int coming = 0;
  for (const Holding& holding : holdings)
    coming += holding.fits < 0 ? holding.gives_back : std::min(holding.gives_back, holding.fits);
  int missing = head->min - (size.free - head->refused_free) - coming;
  if (missing <= 0) return {};
  std::vector<const Holding*> list = givers(holdings);
  std::vector<Change> changes;
  int surplus = 0;
  for (const Holding* giver : list) surplus += surplus_of(*giver);
  if (surplus < missing) {
    const std::vector<const Holding*> chosen = victims(list, *head, missing);
    if (chosen.empty()) return {};
    for (const Holding* victim : chosen) {
      changes.emplace_back(Preempt{victim->job_id, head->job_id});
      missing -= of_use(*victim);
      std::erase(list, victim);
    }
  }
  for (Change& change : reclaim(list, missing)) changes.push_back(std::move(change));
  return changes;
}

}  // namespace mdgen::coordinator
