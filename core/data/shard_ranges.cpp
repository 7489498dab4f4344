#include "core/data/shard_ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "core/base/error.h"
#include "core/base/sum_tree.h"

namespace mdgen::data {
namespace {

class Cuts {
 public:
  Cuts(const std::vector<double>& costs, int world_size)
      : ranks_(static_cast<std::size_t>(world_size)), end_(costs.size()), before_(costs.size() + 1) {
    std::partial_sum(costs.begin(), costs.end(), before_.begin() + 1);
    const double most = costs.empty() ? 0 : *std::max_element(costs.begin(), costs.end());
    bound_ = smallest_bound(most);
  }

  std::vector<std::int64_t> with_fewest_nodes() {
    mark_finishing();
    ways_.assign(ranks_ + 1, std::vector<Way>(end_ + 1));
    ways_[0][0].nodes = 0;
    for (std::size_t rank = 0; rank < ranks_; ++rank) extend(rank);
    std::vector<std::int64_t> bounds(ranks_ + 1);
    std::size_t place = end_;
    for (std::size_t rank = ranks_; rank > 0; --rank) {
      bounds[rank] = static_cast<std::int64_t>(place);
      place = ways_[rank][place].from;
    }
    return bounds;
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  // That some first ranks have all before a place.
  struct Way {
    std::size_t nodes = kNone;
    std::size_t from = 0;  // where the last of them begins
  };

  double load(std::size_t begin, std::size_t end) const { return before_[end] - before_[begin]; }

  std::size_t reach(std::size_t begin, double bound) const {
    std::size_t end = begin;
    while (end < end_ && load(begin, end + 1) <= bound) ++end;
    return end;
  }
  bool suffices(double bound) const {
    std::size_t place = 0;
    for (std::size_t rank = 0; rank < ranks_; ++rank) place = reach(place, bound);
    return place == end_;
  }

  double smallest_bound(double low) const {
    if (suffices(low)) return low;
    double high = before_[end_];
    for (double middle = std::midpoint(low, high); middle > low && middle < high;
         middle = std::midpoint(low, high)) {
      (suffices(middle) ? high : low) = middle;
    }
    return high;
  }

  // finishing_[r]: from here on the last r ranks can do the rest.
  void mark_finishing() {
    finishing_.assign(ranks_ + 1, end_);
    for (std::size_t ranks = 1; ranks <= ranks_; ++ranks) {
      std::size_t begin = finishing_[ranks - 1];
      while (begin > 0 && load(begin - 1, finishing_[ranks - 1]) <= bound_) --begin;
      finishing_[ranks] = begin;
    }
  }

  void extend(std::size_t rank) {
    for (std::size_t begin = 0; begin <= end_; ++begin) {
      if (ways_[rank][begin].nodes == kNone) continue;
      const std::size_t last = reach(begin, bound_);
      for (std::size_t end = std::max(begin, finishing_[ranks_ - rank - 1]); end <= last; ++end) {
        const auto nodes = nodes_of(static_cast<std::int64_t>(end_), static_cast<std::int64_t>(begin),
                                    static_cast<std::int64_t>(end));
        const std::size_t sum = ways_[rank][begin].nodes + nodes.size();
        if (sum < ways_[rank + 1][end].nodes) ways_[rank + 1][end] = {sum, begin};
      }
    }
  }

  std::size_t ranks_;
  std::size_t end_;
  std::vector<double> before_;  // the costs before a place, summed
  double bound_ = 0;            // of a rank's load
  std::vector<std::size_t> finishing_;
  std::vector<std::vector<Way>> ways_;
};

}  // namespace

std::vector<std::int64_t> shard_ranges(const std::vector<double>& costs, int world_size) {
  if (world_size < 1) {
    throw Error(ErrorCode::kInternal, "shard_ranges: world size " + std::to_string(world_size));
  }
  if (world_size == 1) return {0, static_cast<std::int64_t>(costs.size())};
  return Cuts(costs, world_size).with_fewest_nodes();
}

}  // namespace mdgen::data
