// Which rank computes which micro-batch: a pure function of the costs and the world size. No LibTorch.
#pragma once

#include <cstddef>
#include <vector>

namespace mdgen::data {

// result[rank] = the positions in `costs` of that rank's micro-batches, ascending; each position once. Ranks
// may stay empty. The costs (> 0) are balanced: the most expensive first to the least loaded rank (ties: the
// lower rank, the earlier batch), then again and again the most loaded rank hands one micro-batch to, or
// exchanges one with, one of the least loaded ranks, as long as that lowers the larger of their two loads.
// About n log n for n micro-batches: 16,384 of them on 4,096 ranks take some 10 ms.
std::vector<std::vector<std::size_t>> assign(const std::vector<double>& costs, int world_size);

}  // namespace mdgen::data
