// The transformer blocks (reference: latent_model.py IPALayer and LatentMDGenLayer, layers.py FinalLayer).
// Flow time enters by adaptive layer norm (adaLN): from it each block computes, per sample, a shift and a
// scale for each normalised input and a gate for each branch's output.
#pragma once

#include <torch/torch.h>

#include "core/model/attention.h"
#include "core/model/ipa.h"
#include "core/protein/rigid.h"

namespace mdgen::model {

struct LayerSizes {
  std::int64_t dim = 0;
  std::int64_t heads = 0;  // of the attention along residues and frames
  IpaSizes ipa;
};

// Invariant point attention, attention along residues, feed-forward: on one frame's tokens.
class IpaLayerImpl : public torch::nn::Module {
 public:
  explicit IpaLayerImpl(const LayerSizes& sizes);

  // x (B, L, C); t (B, C); frames (B, L); pair_bias as ipa_pair_bias; residue_bias (B, 1, 1, L + 1) as
  // key_bias.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const protein::Rigid& frames,
                     const at::Tensor& pair_bias, const at::Tensor& residue_bias);

 private:
  torch::nn::Sequential adaLN_modulation_;
  torch::nn::LayerNorm ipa_norm_;
  InvariantPointAttention ipa_;
  AttentionWithRope mha_l_;
  torch::nn::Linear fc1_, fc2_;
};
TORCH_MODULE(IpaLayer);

// Attention along residues, attention along frames, feed-forward: on all tokens.
class LatentLayerImpl : public torch::nn::Module {
 public:
  explicit LatentLayerImpl(const LayerSizes& sizes);

  // x (B, T, L, C); t (B, C); residue_bias (B * T, 1, 1, L + 1), frame_bias (B * L, 1, 1, T + 1) as key_bias.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& residue_bias,
                     const at::Tensor& frame_bias);

 private:
  torch::nn::Sequential adaLN_modulation_;
  AttentionWithRope mha_t_, mha_l_;
  torch::nn::Linear fc1_, fc2_;
};
TORCH_MODULE(LatentLayer);

// Adaptive layer norm and the projection to latents.
class FinalLayerImpl : public torch::nn::Module {
 public:
  FinalLayerImpl(std::int64_t dim, std::int64_t latent_dim);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t);  // (B, T, L, C), (B, C) -> (B, T, L, latent)

 private:
  torch::nn::Linear linear_;
  torch::nn::Sequential adaLN_modulation_;
};
TORCH_MODULE(FinalLayer);

}  // namespace mdgen::model
