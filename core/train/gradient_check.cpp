#include "core/train/gradient_check.h"

namespace mdgen::train {

std::vector<std::string> GradientCheck::news(const NamedTensors& parameters) {
  std::vector<std::string> without;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.grad().defined()) without.push_back(name);
  }
  if (without == known_) return {};
  known_ = without;
  return without;
}

}  // namespace mdgen::train
