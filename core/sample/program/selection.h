// Which proteins, and which of them share a batch. Pure functions. No LibTorch.
#pragma once

#include <string>
#include <vector>

#include "core/data/split.h"

namespace mdgen::sample {

// Part `chunk` of `chunks` as numpy.array_split cuts: the first (size mod chunks) parts have one more.
std::vector<data::SplitRow> chunk_of(const std::vector<data::SplitRow>& rows, int chunk, int chunks);

// The rows with these names, in the split's order; all for no names. Throws Error(kInvalidArgument) for names
// that are nowhere in `all`.
std::vector<data::SplitRow> select(const std::vector<data::SplitRow>& rows,
                                   const std::vector<data::SplitRow>& all,
                                   const std::vector<std::string>& names);

// Groups of at most `size` rows of one length each, in the order of their first rows.
std::vector<std::vector<data::SplitRow>> group_by_length(const std::vector<data::SplitRow>& rows,
                                                         std::size_t size);

}  // namespace mdgen::sample
