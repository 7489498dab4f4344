// A linear layer for inputs of any shape (…, in): torch::nn::Linear on one matrix of all rows.
//
// LibTorch makes one fused product with the bias only of two dimensions (and contiguous three). Of four it
// makes the product and then adds the bias, under bf16 autocast through float32 copies of the whole output,
// which takes longer than the product.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace mdgen::model {

// Named and registered as torch::nn::Linear's.
class LinearImpl : public torch::nn::LinearImpl {
 public:
  using torch::nn::LinearImpl::LinearImpl;

  at::Tensor forward(const at::Tensor& x) {
    if (x.dim() <= 2) return torch::nn::LinearImpl::forward(x);
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = options.out_features();
    return torch::nn::LinearImpl::forward(x.reshape({-1, x.size(-1)})).view(shape);
  }
};
TORCH_MODULE(Linear);

}  // namespace mdgen::model
