#include "core/model/layers.h"

#include <tuple>
#include <vector>

#include "core/kernels/modulated_norm.h"
#include "core/model/recompute.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kFeedForwardFactor = 4;
constexpr kernels::NormOutput kForLinear = {.for_linear = true};

// A layer's parts that dropout has streams for.
constexpr std::uint32_t kIpa = 0;
constexpr std::uint32_t kMhaL = 1;
constexpr std::uint32_t kMhaT = 2;

torch::nn::Sequential modulation(std::int64_t dim, std::int64_t parts) {
  return torch::nn::Sequential(torch::nn::SiLU(), torch::nn::Linear(dim, parts * dim));
}

// The shifts, scales and gates of one block, each (B, 1, …, 1, C) to go with x of `dims` dimensions.
std::vector<at::Tensor> modulations(torch::nn::Sequential& from, const at::Tensor& t, std::int64_t dims,
                                    std::int64_t parts) {
  at::Tensor all = from->forward(t);
  for (std::int64_t i = 2; i < dims; ++i) all = all.unsqueeze(1);
  return all.chunk(parts, -1);
}

IpaSizes ipa_sizes(const ModelConfig& config) {
  return {config.embed_dim, config.ipa_heads, config.ipa_head_dim, config.ipa_qk, config.ipa_v};
}

// module(x, rest...), which backward computes again if `recomputes`. The rest needs no gradient.
template <typename Module, typename... Rest>
at::Tensor mix(bool recomputes, Module& module, const at::Tensor& x, const Rest&... rest) {
  if (!recomputes) return module(x, rest...);
  const auto run = [module, rest...](const std::vector<at::Tensor>& in) mutable {
    return module(in[0], rest...);
  };
  return recomputed(run, {x}, module->parameters());
}

at::Tensor feed_forward(Linear& fc1, Linear& fc2, const at::Tensor& x) { return fc2(at::gelu(fc1(x))); }

}  // namespace

IpaLayerImpl::IpaLayerImpl(const ModelConfig& config)
    : adaLN_modulation_(modulation(config.embed_dim, 6)),
      ipa_norm_(torch::nn::LayerNormOptions({config.embed_dim})),
      ipa_(ipa_sizes(config)),
      mha_l_(config.embed_dim, config.mha_heads, !config.no_rope),
      fc1_(config.embed_dim, kFeedForwardFactor * config.embed_dim),
      fc2_(kFeedForwardFactor * config.embed_dim, config.embed_dim),
      recomputes_(config.recomputes_attention()) {
  register_module("adaLN_modulation", adaLN_modulation_);
  register_module("ipa_norm", ipa_norm_);
  register_module("ipa", ipa_);
  register_module("mha_l", mha_l_);
  register_module("fc1", fc1_);
  register_module("fc2", fc2_);
}

at::Tensor IpaLayerImpl::forward(const at::Tensor& x, const at::Tensor& t, const protein::Rigid& frames,
                                 const at::Tensor& pair_bias, const AttentionKeys& residues,
                                 const Dropout& dropout) {
  const auto m = modulations(adaLN_modulation_, t, x.dim(), 6);
  at::Tensor y = x + mix(recomputes_, ipa_, ipa_norm_(x), frames, pair_bias, dropout.of(kIpa));
  const at::Tensor normed = kernels::modulated_norm(y, m[0], m[1], kForLinear).unsqueeze(1);
  const at::Tensor attended = mix(recomputes_, mha_l_, normed, residues, dropout.of(kMhaL)).squeeze(1);
  const auto [mixed, n] = kernels::gated_modulated_norm(y, m[2], attended, m[3], m[4], kForLinear);
  return kernels::gated_residual(mixed, m[5], feed_forward(fc1_, fc2_, n));
}

LatentLayerImpl::LatentLayerImpl(const ModelConfig& config)
    : adaLN_modulation_(modulation(config.embed_dim, 9)),
      mha_l_(config.embed_dim, config.mha_heads, !config.no_rope),
      fc1_(config.embed_dim, kFeedForwardFactor * config.embed_dim),
      fc2_(kFeedForwardFactor * config.embed_dim, config.embed_dim),
      recomputes_(config.recomputes_attention()) {
  const std::int64_t dim = config.embed_dim;
  register_module("adaLN_modulation", adaLN_modulation_);
  if (config.interleave_ipa) {
    ipa_norm_ = register_module("ipa_norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim})));
    ipa_ = register_module("ipa", InvariantPointAttention(ipa_sizes(config)));
  }
  if (config.hyena) {
    hyena_t_ = register_module("mha_t", HyenaOperator(dim, config.num_frames, config.reference_compat));
  } else {
    mha_t_ = register_module("mha_t", AttentionWithRope(dim, config.mha_heads, !config.no_rope));
  }
  register_module("mha_l", mha_l_);
  register_module("fc1", fc1_);
  register_module("fc2", fc2_);
}

at::Tensor LatentLayerImpl::mix_frames(const at::Tensor& x, const LatentLayerInputs& inputs) {
  if (hyena_t_) return hyena_t_(x.flatten(0, 1)).unflatten(0, {x.size(0), x.size(1)});
  return mix(recomputes_, mha_t_, x, inputs.frames, inputs.dropout.of(kMhaT), Along::kFrames);
}

at::Tensor LatentLayerImpl::forward(const at::Tensor& x, const at::Tensor& t,
                                    const LatentLayerInputs& inputs) {
  const auto m = modulations(adaLN_modulation_, t, x.dim(), 9);
  at::Tensor y = x;
  if (ipa_) {
    const at::Tensor by_frame = ipa_norm_(x).flatten(0, 1);
    y = y + mix(recomputes_, ipa_, by_frame, inputs.ipa_frames, inputs.pair_bias, inputs.dropout.of(kIpa))
                .unflatten(0, {x.size(0), x.size(1)});
  }
  at::Tensor n = kernels::modulated_norm(y, m[0], m[1], kForLinear);
  const at::Tensor of_residues = mix(recomputes_, mha_l_, n, inputs.residues, inputs.dropout.of(kMhaL));
  std::tie(y, n) = kernels::gated_modulated_norm(y, m[2], of_residues, m[3], m[4],
                                                 {.for_linear = !hyena_t_, .transposed = true});
  const at::Tensor of_frames = mix_frames(n.transpose(1, 2), inputs).transpose(1, 2);
  std::tie(y, n) = kernels::gated_modulated_norm(y, m[5], of_frames, m[6], m[7], kForLinear);
  return kernels::gated_residual(y, m[8], feed_forward(fc1_, fc2_, n));
}

FinalLayerImpl::FinalLayerImpl(std::int64_t dim, std::int64_t latent_dim)
    : linear_(dim, latent_dim), adaLN_modulation_(modulation(dim, 2)) {
  register_module("linear", linear_);
  register_module("adaLN_modulation", adaLN_modulation_);
}

at::Tensor FinalLayerImpl::forward(const at::Tensor& x, const at::Tensor& t) {
  const auto m = modulations(adaLN_modulation_, t, x.dim(), 2);
  return linear_(kernels::modulated_norm(x, m[0], m[1], kForLinear));
}

}  // namespace mdgen::model
