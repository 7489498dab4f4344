// For strict determinism: which rank computes which of a step's micro-batches, when each rank's must be
// neighbours. A pure function of the costs and the world size. No LibTorch.
#pragma once

#include <cstdint>
#include <vector>

namespace mdgen::data {

// Rank r has the micro-batches result[r] … result[r + 1] - 1; world size + 1 numbers. The largest load is the
// smallest that ranges allow. Among such cuts one is taken whose ranges are the fewest nodes of the sum's
// tree (base/sum_tree.h), as each is a partial sum to keep and to send. Ranks may stay empty. Costs are > 0.
std::vector<std::int64_t> shard_ranges(const std::vector<double>& costs, int world_size);

}  // namespace mdgen::data
