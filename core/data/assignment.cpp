#include "core/data/assignment.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace mdgen::data {
namespace {

constexpr std::size_t kFirstPartners = 16;   // the least loaded ranks are tried before all of them
constexpr std::size_t kMostPairs = 200'000;  // of ranks, looked at in all

class Loads {
 public:
  Loads(const std::vector<double>& costs, int world_size)
      : costs_(costs), load_(static_cast<std::size_t>(world_size)), owned_(load_.size()) {}

  void spread() {
    std::vector<std::size_t> by_cost(costs_.size());
    std::iota(by_cost.begin(), by_cost.end(), std::size_t{0});
    std::stable_sort(by_cost.begin(), by_cost.end(),
                     [&](std::size_t a, std::size_t b) { return costs_[a] > costs_[b]; });
    for (std::size_t rank = 0; rank < load_.size(); ++rank) by_load_.emplace(0.0, rank);
    for (const std::size_t batch : by_cost) {
      const std::size_t rank = by_load_.begin()->second;
      owned_[rank].push_back(batch);
      set_load(rank, load_[rank] + costs_[batch]);
    }
  }

  // False when nothing lowers the largest load.
  bool exchange() {
    const std::size_t from = by_load_.rbegin()->second;
    std::optional<Exchange> best;
    std::size_t partners = 0;
    for (const auto& [load, to] : by_load_) {
      if (to == from || pairs_ == kMostPairs || (partners >= kFirstPartners && best)) break;
      look(from, to, best);
      ++partners;
      ++pairs_;
    }
    if (!best) return false;
    carry_out(from, *best);
    return true;
  }

  std::vector<std::vector<std::size_t>> take() {
    for (auto& batches : owned_) std::sort(batches.begin(), batches.end());
    return std::move(owned_);
  }

 private:
  static constexpr std::size_t kNothing = static_cast<std::size_t>(-1);
  struct Exchange {
    double larger = 0;  // of both loads afterwards
    std::size_t to = 0;
    std::size_t given = 0;         // place in owned_[from]
    std::size_t taken = kNothing;  // place in owned_[to]
  };

  void look(std::size_t from, std::size_t to, std::optional<Exchange>& best) const {
    for (std::size_t given = 0; given < owned_[from].size(); ++given) {
      const double out = costs_[owned_[from][given]];
      const auto consider = [&](double back, std::size_t taken) {
        const double larger = std::max(load_[from] - out + back, load_[to] + out - back);
        if (larger < (best ? best->larger : load_[from])) best = {larger, to, given, taken};
      };
      consider(0, kNothing);
      for (std::size_t taken = 0; taken < owned_[to].size(); ++taken) {
        consider(costs_[owned_[to][taken]], taken);
      }
    }
  }

  void carry_out(std::size_t from, const Exchange& exchange) {
    std::size_t& given = owned_[from][exchange.given];
    if (exchange.taken == kNothing) {
      owned_[exchange.to].push_back(given);
      owned_[from].erase(owned_[from].begin() + static_cast<std::ptrdiff_t>(exchange.given));
    } else {
      std::swap(given, owned_[exchange.to][exchange.taken]);
    }
    for (const std::size_t rank : {from, exchange.to}) {
      double load = 0;
      for (const std::size_t batch : owned_[rank]) load += costs_[batch];
      set_load(rank, load);
    }
  }

  void set_load(std::size_t rank, double load) {
    by_load_.erase({load_[rank], rank});
    load_[rank] = load;
    by_load_.emplace(load, rank);
  }

  const std::vector<double>& costs_;
  std::vector<double> load_;
  std::vector<std::vector<std::size_t>> owned_;
  std::set<std::pair<double, std::size_t>> by_load_;  // of every rank
  std::size_t pairs_ = 0;
};

}  // namespace

std::vector<std::vector<std::size_t>> assign(const std::vector<double>& costs, int world_size) {
  if (world_size < 1) {
    throw Error(ErrorCode::kInternal, "assign: world size " + std::to_string(world_size));
  }
  Loads loads(costs, world_size);
  loads.spread();
  while (loads.exchange()) {
  }
  return loads.take();
}

}  // namespace mdgen::data
