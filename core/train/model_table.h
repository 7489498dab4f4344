// The model's parts as a table, laid out like Lightning's ModelSummary(max_depth=2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/model/summary.h"

namespace mdgen::train {

// 950 -> "950  ", 4'200 -> "4.2 K", 34'150'000 -> "34.1 M": Lightning's get_human_readable_count.
std::string readable_count(std::int64_t count);

// One line a module, then the totals; `bytes` is what a parameter takes.
std::vector<std::string> model_table(const std::vector<model::ModuleSummary>& modules, std::int64_t trainable,
                                     std::int64_t parameters, int bytes);

}  // namespace mdgen::train
