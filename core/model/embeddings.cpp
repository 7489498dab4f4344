#include "core/model/embeddings.h"

#include <cmath>

namespace mdgen::model {
namespace {

constexpr double kMaxPeriod = 10000;
constexpr std::int64_t kTimeFrequencies = 128;

}  // namespace

at::Tensor sincos_table(std::int64_t rows, std::int64_t dim) {
  const auto options = at::TensorOptions().dtype(at::kDouble);
  const at::Tensor exponents = at::arange(dim / 2, options) / (static_cast<double>(dim) / 2);
  const at::Tensor frequencies = at::pow(kMaxPeriod, exponents).reciprocal();
  const at::Tensor angles = at::outer(at::arange(rows, options), frequencies);
  return at::cat({angles.sin(), angles.cos()}, 1).to(at::kFloat);
}

TimestepEmbedderImpl::TimestepEmbedderImpl(std::int64_t dim)
    : mlp_(torch::nn::Linear(2 * kTimeFrequencies, dim), torch::nn::SiLU(), torch::nn::Linear(dim, dim)) {
  register_module("mlp", mlp_);
}

at::Tensor TimestepEmbedderImpl::forward(const at::Tensor& t) {
  const at::ScalarType exact = t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor steps = at::arange(kTimeFrequencies, t.options().dtype(exact));
  const at::Tensor frequencies = at::exp(-std::log(kMaxPeriod) * steps / kTimeFrequencies);
  const at::Tensor angles = t.to(exact).unsqueeze(1) * frequencies;
  const at::ScalarType weights = mlp_[0]->as<torch::nn::Linear>()->weight.scalar_type();
  return mlp_->forward(at::cat({angles.cos(), angles.sin()}, 1).to(weights));
}

}  // namespace mdgen::model
