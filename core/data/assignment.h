// Which rank computes which micro-batch: a pure function of the costs and the world size. No LibTorch.
#pragma once

#include <cstddef>
#include <vector>

namespace mdgen::data {

// result[rank] = the positions in `costs` of that rank's micro-batches, ascending; each position once. Ranks
// may stay empty. The costs (> 0) are balanced: the most expensive first to the least loaded rank (ties: the
// lower rank, the earlier batch), then again and again the most loaded rank hands one micro-batch to another
// rank, or exchanges one with it, where that lowers the larger of their two loads most; the least loaded
// ranks are tried first. That ends when it lowers nothing, or after as much search as takes some
// milliseconds.
std::vector<std::vector<std::size_t>> assign(const std::vector<double>& costs, int world_size);

}  // namespace mdgen::data
