// Ranks as processes of this machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::bench {

// What a rank does in a process of its own; returns its result in bytes.
using RankWork = std::function<std::string(int rank, const comm::Exchange& exchange)>;

// Forks a process for each rank, passes on what they exchange, and returns their results by rank. Throws
// Error naming the rank that failed, with its code and text; the others are killed. Call it before anything
// has made threads: LibTorch's do not live on in a forked process.
std::vector<std::string> run_ranks(int ranks, const RankWork& work);

}  // namespace mdgen::bench
