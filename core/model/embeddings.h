// What turns flow time and positions into channels, before the layers (reference: layers.py TimestepEmbedder,
// latent_model.py get_1d_sincos_pos_embed_from_grid).
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace mdgen::model {

// Row p: sin(p w_i) for i < dim / 2, then cos(p w_i), with w_i = 10000^(-2i / dim). (rows, dim) float32,
// computed in double precision. `dim` must be even.
at::Tensor sincos_table(std::int64_t rows, std::int64_t dim);

// Scalar times (B) -> (B, dim): 256 cosines and sines, then a two-layer perceptron.
class TimestepEmbedderImpl : public torch::nn::Module {
 public:
  explicit TimestepEmbedderImpl(std::int64_t dim);
  at::Tensor forward(const at::Tensor& t);

 private:
  torch::nn::Sequential mlp_;
};
TORCH_MODULE(TimestepEmbedder);

}  // namespace mdgen::model
