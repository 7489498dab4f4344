// Where each parameter's gradient lies in one flat buffer: from the last parameter to the first, the order in
// which backward makes gradients.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace mdgen::comm {

class GradientLayout {
 public:
  // Throws Error(kInvalidArgument) naming a parameter that is no leaf with a gradient, or that differs from
  // the first in type or device. Gradients of float16 and bfloat16 parameters are to be float32: their
  // grad_dtype is set so.
  explicit GradientLayout(std::vector<at::Tensor> parameters);

  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  std::int64_t elements() const { return elements_; }
  // float32 where there are no parameters.
  at::TensorOptions options() const { return options_; }

  // Where parameter i begins.
  std::int64_t offset(std::size_t i) const { return offsets_[i]; }
  // Parameter i's part of a buffer, in the parameter's shape.
  at::Tensor view(const at::Tensor& buffer, std::size_t i) const {
    return buffer.narrow(0, offsets_[i], parameters_[i].numel()).view(parameters_[i].sizes());
  }

 private:
  std::vector<at::Tensor> parameters_;
  std::vector<std::int64_t> offsets_;
  std::int64_t elements_ = 0;
  at::TensorOptions options_ = at::kFloat;
};

}  // namespace mdgen::comm
