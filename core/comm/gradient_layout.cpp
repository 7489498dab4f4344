#include "core/comm/gradient_layout.h"

#include <string>
#include <utility>

#include "core/base/error.h"

namespace mdgen::comm {
namespace {

void check(const std::vector<at::Tensor>& parameters) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& parameter = parameters[i];
    const std::string which = "parameter " + std::to_string(i) + " of " + std::to_string(parameters.size());
    if (!parameter.is_leaf() || !parameter.requires_grad()) {
      throw Error(ErrorCode::kInvalidArgument, which + " is no leaf that requires a gradient");
    }
    if (parameter.options().dtype() != parameters[0].options().dtype() ||
        parameter.device() != parameters[0].device()) {
      throw Error(ErrorCode::kInvalidArgument, which + " differs from the first in type or device");
    }
  }
}

at::ScalarType gradient_type(at::ScalarType type) {
  return type == at::kHalf || type == at::kBFloat16 ? at::kFloat : type;
}

}  // namespace

GradientLayout::GradientLayout(std::vector<at::Tensor> parameters)
    : parameters_(std::move(parameters)), offsets_(parameters_.size()) {
  check(parameters_);
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    offsets_[i] = elements_;
    elements_ += parameters_[i].numel();
  }
  if (parameters_.empty()) return;
  const at::ScalarType type = gradient_type(parameters_[0].scalar_type());
  options_ = parameters_[0].options().requires_grad(false).dtype(type);
  for (at::Tensor& parameter : parameters_) {
    if (parameter.scalar_type() != type) parameter.set_grad_dtype(type);
  }
}

}  // namespace mdgen::comm
