// check_grad: which parameters no sample has reached.
#pragma once

#include <string>
#include <vector>

#include "core/train/optimizer.h"

namespace mdgen::train {

// Not thread-safe.
class GradientCheck {
 public:
  // After a step's reduction: the names of the parameters without gradient when they are others than at the
  // last call, or at the first call; otherwise nothing. (The reference warns of the same ones at every step.)
  std::vector<std::string> news(const NamedTensors& parameters);

 private:
  std::vector<std::string> known_;
};

}  // namespace mdgen::train
