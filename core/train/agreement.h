// Decisions that one rank takes for all.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <string>
#include <vector>

#include "core/comm/collective.h"

namespace mdgen::train {

// Runs `decide` on rank 0 and returns its text on every rank. What it throws on rank 0 is thrown on every
// rank, with the same code and reason, so that nobody is left waiting; only a CollectiveError, after which
// the group is over, is rank 0's alone. Every rank must call it.
std::string agree(comm::Collective& collective, at::Device device,
                  const std::function<std::string()>& decide);

// Rank `root`'s text on every rank. Every rank must call it.
std::string broadcast_text(comm::Collective& collective, at::Device device, const std::string& text,
                           int root);

// Throws RunFailure(ReplicaDiverged) on every rank, naming the ranks whose digest (of equal lengths) differs
// from rank 0's.
void require_equal_digests(comm::Collective& collective, at::Device device, const std::string& what,
                           const std::string& digest);

// result[r] = rank r's text. Every rank must call it.
std::vector<std::string> gather_texts(comm::Collective& collective, at::Device device,
                                      const std::string& text);

}  // namespace mdgen::train
