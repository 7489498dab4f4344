// Who gives and who gets workers: the pure decision.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "services/coordinator/elastic.h"

namespace mdgen::coordinator {
namespace {

Holding holding(const std::string& id, int workers, int min, int max, int priority = 0) {
  return {id, priority, workers, min, max, true, true, 0};
}
Want queued(const std::string& id, int min, int priority = 0) {
  Want want{.job_id = id, .min = min, .max = min};
  want.priority = priority;
  want.queued = true;
  return want;
}

std::vector<std::string> text(const std::vector<Change>& changes) {
  std::vector<std::string> list;
  for (const Change& change : changes) {
    if (const auto* grow = std::get_if<Grow>(&change)) list.push_back("grow " + grow->job_id);
    if (const auto* shrink = std::get_if<Shrink>(&change))
      list.push_back("shrink " + shrink->job_id + " to " + std::to_string(shrink->to));
    if (const auto* preempt = std::get_if<Preempt>(&change))
      list.push_back("preempt " + preempt->job_id + " for " + preempt->for_job);
  }
  return list;
}

struct Case {
  const char* what;
  std::vector<Holding> holdings;
  std::vector<Want> queue;
  PoolSize size;
  std::vector<std::string> changes;
};

TEST(Rebalance, Table) {
  Holding tired = holding("a", 1, 1, 3);
  tired.rested = false;
  Holding busy = holding("a", 4, 1, 4);
  busy.steady = false;
  Holding leaving = holding("a", 2, 1, 4);
  leaving.steady = false;
  leaving.gives_back = 2;
  Holding picky = holding("a", 1, 1, 3);
  picky.useless = 1;
  const Case table[] = {
      {"what is free is of no use to it", {picky}, {}, {1, 2}, {}},
      {"of two that are free one is", {picky}, {}, {2, 3}, {"grow a"}},
      {"grows into what is free", {holding("a", 1, 1, 3)}, {}, {1, 2}, {"grow a"}},
      {"nothing is free", {holding("a", 1, 1, 3)}, {}, {0, 1}, {}},
      {"not so soon", {tired}, {}, {1, 2}, {}},
      {"it has enough", {holding("a", 3, 1, 3)}, {}, {1, 4}, {}},
      {"the higher priority first",
       {holding("a", 1, 1, 2), holding("b", 1, 1, 2, 3)},
       {},
       {1, 3},
       {"grow b"}},
      {"not while somebody waits", {holding("a", 1, 1, 3)}, {queued("q", 2)}, {1, 2}, {}},
      {"one that can never start holds up nobody",
       {holding("a", 1, 1, 3)},
       {queued("q", 9)},
       {1, 2},
       {"grow a"}},
      {"surplus goes to the head", {holding("a", 4, 1, 4)}, {queued("q", 2)}, {0, 4}, {"shrink a to 2"}},
      {"the youngest gives first",
       {holding("a", 2, 1, 2), holding("b", 2, 1, 2)},
       {queued("q", 1)},
       {0, 4},
       {"shrink b to 1"}},
      {"the lower priority gives first",
       {holding("a", 2, 1, 2), holding("b", 2, 1, 2, 1)},
       {queued("q", 1, 5)},
       {0, 4},
       {"shrink a to 1"}},
      {"surplus before pre-emption",
       {holding("a", 3, 1, 3), holding("b", 1, 1, 1)},
       {queued("q", 2, 5)},
       {0, 4},
       {"shrink a to 1"}},
      {"equal priority is not pre-empted", {holding("a", 2, 2, 2)}, {queued("q", 2)}, {0, 2}, {}},
      {"lower priority is", {holding("a", 2, 2, 2)}, {queued("q", 2, 1)}, {0, 2}, {"preempt a for q"}},
      {"only if it suffices",
       {holding("a", 2, 2, 2), holding("b", 2, 2, 2, 9)},
       {queued("q", 4, 1)},
       {0, 4},
       {}},
      {"no more than is needed",
       {holding("a", 1, 1, 1), holding("b", 3, 3, 3)},
       {queued("q", 3, 1)},
       {0, 4},
       {"preempt b for q"}},
      {"who is asked already is not asked again", {busy}, {queued("q", 2)}, {0, 4}, {}},
      {"what is about to be free counts", {leaving, holding("b", 2, 1, 2)}, {queued("q", 2)}, {0, 4}, {}},
  };
  for (const Case& row : table)
    EXPECT_EQ(text(rebalance(row.holdings, row.queue, row.size)), row.changes) << row.what;
}

// Whatever the pool: nobody falls below its minimum, nobody of the head's priority or above is pre-empted,
// and what is asked for gives the head what it needs.
TEST(Rebalance, KeepsItsPromises) {
  std::mt19937 random(11);
  const auto draw = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  int asked = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<Holding> holdings;
    PoolSize size{draw(0, 2), 0};
    size.total = size.free;
    for (int job = draw(0, 4); job > 0; --job) {
      const int min = draw(1, 3);
      Holding one = holding("j" + std::to_string(job), min + draw(0, 3), min, min + 4, draw(0, 3));
      one.steady = draw(0, 4) != 0;
      size.total += one.workers;
      holdings.push_back(one);
    }
    const Want head = queued("head", draw(1, 8), draw(0, 3));
    const auto changes = rebalance(holdings, {head}, size);
    if (!head.feasible(size.total)) continue;
    int gained = size.free;
    for (const Change& change : changes) {
      ASSERT_FALSE(std::holds_alternative<Grow>(change));
      const std::string& id =
          std::visit([](const auto& one) -> const std::string& { return one.job_id; }, change);
      const auto giver = std::find_if(holdings.begin(), holdings.end(),
                                      [&](const Holding& one) { return one.job_id == id; });
      EXPECT_TRUE(giver->steady);
      if (const auto* shrink = std::get_if<Shrink>(&change)) {
        EXPECT_GE(shrink->to, giver->min);
        gained += giver->workers - shrink->to;
      } else {
        EXPECT_LT(giver->priority, head.priority);
        gained += giver->workers;
      }
    }
    if (changes.empty()) continue;
    ++asked;
    EXPECT_GE(gained, head.min);
  }
  EXPECT_GT(asked, 2000);
}

}  // namespace
}  // namespace mdgen::coordinator
