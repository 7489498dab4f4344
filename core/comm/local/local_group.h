// Ranks that are threads of one process: the backend of world size 1, and a fast stand-in for a network in
// tests. Sums run in the order of ranks, so results are the same on every rank and in every run.
#pragma once

#include <memory>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::comm {

// One Collective a rank; each is used by one thread. A Collective destroyed while others wait for it counts
// as a lost peer.
std::vector<std::unique_ptr<Collective>> make_local_group(int world_size);

}  // namespace mdgen::comm
