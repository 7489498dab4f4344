// The transformer blocks (reference: latent_model.py IPALayer and LatentMDGenLayer, layers.py FinalLayer).
// Flow time enters by adaptive layer norm (adaLN): from it each block computes, per sample, a shift and a
// scale for each normalised input and a gate for each branch's output.
#pragma once

#include <torch/torch.h>

#include "core/model/attention.h"
#include "core/model/dropout.h"
#include "core/model/hyena.h"
#include "core/model/ipa.h"
#include "core/model/linear.h"
#include "core/model/model_config.h"
#include "core/protein/rigid.h"

namespace mdgen::model {

// Invariant point attention, attention along residues, feed-forward: on one frame's tokens.
class IpaLayerImpl : public torch::nn::Module {
 public:
  explicit IpaLayerImpl(const ModelConfig& config);

  // x (B, L, C); t (B, C); frames (B, L); pair_bias as ipa_pair_bias; residues: keys of B rows.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const protein::Rigid& frames,
                     const at::Tensor& pair_bias, const AttentionKeys& residues, const Dropout& dropout = {});

 private:
  torch::nn::Sequential adaLN_modulation_;
  torch::nn::LayerNorm ipa_norm_;
  InvariantPointAttention ipa_;
  AttentionWithRope mha_l_;
  Linear fc1_, fc2_;
  bool recomputes_;  // attention and IPA, in backward
};
TORCH_MODULE(IpaLayer);

// What the layers of one forward pass share.
struct LatentLayerInputs {
  AttentionKeys residues;  // B * T rows of L positions
  AttentionKeys frames;    // B * L rows of T positions; not with hyena
  // With interleave_ipa: the frames that every frame's tokens look at.
  protein::Rigid ipa_frames;  // (B * T, L)
  at::Tensor pair_bias;       // (B * T, 1, L, L) as ipa_pair_bias
  Dropout dropout{};          // the layer's
};

// Invariant point attention (with interleave_ipa), attention along residues, attention or Hyena along frames,
// feed-forward: on all tokens.
class LatentLayerImpl : public torch::nn::Module {
 public:
  explicit LatentLayerImpl(const ModelConfig& config);

  // x (B, T, L, C); t (B, C).
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const LatentLayerInputs& inputs);

 private:
  at::Tensor mix_frames(const at::Tensor& x, const LatentLayerInputs& inputs);  // (B, L, T, C)

  torch::nn::Sequential adaLN_modulation_;
  torch::nn::LayerNorm ipa_norm_{nullptr};
  InvariantPointAttention ipa_{nullptr};
  HyenaOperator hyena_t_{nullptr};  // its name is mha_t too
  AttentionWithRope mha_t_{nullptr}, mha_l_;
  Linear fc1_, fc2_;
  bool recomputes_;  // attention and IPA, in backward
};
TORCH_MODULE(LatentLayer);

// Adaptive layer norm and the projection to latents.
class FinalLayerImpl : public torch::nn::Module {
 public:
  FinalLayerImpl(std::int64_t dim, std::int64_t latent_dim);
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t);  // (B, T, L, C), (B, C) -> (B, T, L, latent)

 private:
  Linear linear_;
  torch::nn::Sequential adaLN_modulation_;
};
TORCH_MODULE(FinalLayer);

}  // namespace mdgen::model
