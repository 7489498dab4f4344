// Which ranks are slow: a pure decision over what each says of its own computing. In a synchronous job all
// steps take as long as the slowest rank's, so that only the time before the collective tells who it is.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace mdgen::coordinator {

struct Slowness {
  double ratio = 0;  // the rank's time over the median of all ranks; 0: not known
  bool straggler = false;
};

// A value type. The median of an even number is the lower of the two in the middle, so that of two ranks the
// slower one is compared with the other, and half of the ranks may be slow.
class StragglerWatch {
 public:
  static constexpr double kSlow = 1.25;  // a straggler is above it …
  static constexpr double kWell = 1.10;  // … until it is below this
  static constexpr int kLooks = 5;       // in a row, for either

  // One look at all ranks of a generation (0: not known), in seconds a step. Another number of ranks begins
  // anew. Returns the ranks that have become stragglers with this look.
  std::vector<int> look(std::span<const double> compute_seconds);
  void clear() { ranks_.clear(); }

  // By rank; empty before the first look.
  Slowness of(int rank) const;
  double median() const { return median_; }  // of the last look; 0: fewer than two ranks were known

 private:
  struct Rank {
    Slowness slowness;
    int looks = 0;  // in a row that speak for the other verdict
  };
  std::vector<Rank> ranks_;
  double median_ = 0;
};

}  // namespace mdgen::coordinator
