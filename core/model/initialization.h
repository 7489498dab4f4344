// How each tensor of the model starts, by its name (reference: latent_model.py initialize_weights, run last
// and so winning over what the layers do themselves).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string_view>

namespace mdgen::model {

enum class Distribution { kConstant, kUniform, kNormal, kFilterPositions };

struct Initialization {
  Distribution distribution = Distribution::kConstant;
  double parameter = 0;  // the constant; the uniform's bound (-b, b); the normal's standard deviation
};

// Zero: `ipa.linear_out`, the main layers' adaLN (not the IPA layers'), all of `emb_to_latent`, every linear
// bias. Xavier-uniform: every other linear weight. Normal: embeddings (1), t_embedder's weights (0.02),
// bias_k and bias_v (Xavier). `head_weights`: softplus^-1(1). Hyena's own: its short filter as PyTorch begins
// a convolution (uniform, weight and bias), its filter's bias normal (1), frequencies 1, positions as they
// are.
Initialization initialization_of(std::string_view name, at::IntArrayRef shape);

// Fills a float32 tensor: a pure function of (seed, name), whatever the order of calls. Philox counter: words
// 0 and 1 are SHA-256(name)'s first 64 bits, the top byte of word 2 is data::DrawKind::kInit, the rest counts
// blocks of four values.
void initialize(at::Tensor tensor, const Initialization& how, std::uint64_t seed, std::string_view name);

}  // namespace mdgen::model
