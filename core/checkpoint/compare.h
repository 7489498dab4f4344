// What differs between two checkpoints. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/portable.h"

namespace mdgen::checkpoint {

struct TensorDifference {
  std::string set;  // "weights", "moving average", "optimizer"
  std::string name;
  std::string problem{};  // of another kind than values: missing in one, another shape or type; else empty
  std::int64_t elements = 0;
  std::int64_t differing = 0;  // elements of other bits; NaN equals NaN
  double max_absolute = 0;
  double max_relative = 0;  // |a - b| over the larger of |a| and |b|; infinity where one alone is not finite
};

struct Comparison {
  std::int64_t tensors = 0;  // in either
  std::vector<TensorDifference> differences;
  std::vector<std::string> spec;  // "optim.lr: 0.001, 0.002"

  bool equal() const { return differences.empty() && spec.empty(); }
};

// Both read with Contents::kAll.
Comparison compare(const Portable& a, const Portable& b);

}  // namespace mdgen::checkpoint
