// Which rank computes which micro-batch: a pure function of the costs and the world size. No LibTorch.
#pragma once

#include <cstddef>
#include <vector>

namespace mdgen::data {

// result[rank] = the positions in `costs` of that rank's micro-batches, ascending; each position once. Ranks
// may stay empty. The costs (> 0) are balanced: the most expensive first to the least loaded rank (ties: the
// lower rank, the earlier batch), then the most loaded rank hands over or exchanges one micro-batch with
// another rank as long as that lowers the larger of the two loads, some dozens of times at most.
std::vector<std::vector<std::size_t>> assign(const std::vector<double>& costs, int world_size);

}  // namespace mdgen::data
