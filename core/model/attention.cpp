#include "core/model/attention.h"

#include <cmath>
#include <limits>

#include "core/kernels/token_attention.h"

namespace mdgen::model {
namespace {

constexpr double kRotaryBase = 10000;

// softmax(q kᵀ / sqrt(D) + bias) v with dropout on the probabilities.
at::Tensor attend_with_dropout(const kernels::TokenAttention& in, const Dropout& dropout, Along along) {
  const kernels::SplitHeads split = kernels::split_heads(in);
  const at::ScalarType type = split.v.scalar_type();
  const double scale = 1 / std::sqrt(static_cast<double>(split.q.size(-1)));
  const at::Tensor scores = at::matmul((split.q * scale).to(type), split.k.to(type).transpose(-1, -2));
  const at::ScalarType exact = type == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor probabilities = at::softmax(scores + in.bias, -1, exact);
  return kernels::join_heads(at::matmul(dropout.apply(probabilities, along).to(type), split.v), in);
}

}  // namespace

AttentionKeys attention_keys(const at::Tensor& mask, bool attends_padding, std::int64_t token_position) {
  const float padded = attends_padding ? 1.0F : -std::numeric_limits<float>::infinity();
  at::Tensor bias = at::zeros({mask.size(0), mask.size(1) + 1}, mask.options());
  bias.narrow(1, 0, mask.size(1)).masked_fill_(mask == 0, padded);
  return {bias.unsqueeze(1).unsqueeze(1), token_position};
}

RotaryEmbeddingImpl::RotaryEmbeddingImpl(std::int64_t dim) {
  const at::Tensor exponents = at::arange(0, dim, 2, at::kFloat) / static_cast<double>(dim);
  inv_freq_ = register_buffer("inv_freq", at::pow(kRotaryBase, exponents).reciprocal());
}

MultiheadAttentionImpl::MultiheadAttentionImpl(std::int64_t dim, std::int64_t heads, bool rope)
    : heads_(heads), k_proj_(dim, dim), v_proj_(dim, dim), q_proj_(dim, dim), out_proj_(dim, dim) {
  bias_k_ = register_parameter("bias_k", at::zeros({1, 1, dim}));
  bias_v_ = register_parameter("bias_v", at::zeros({1, 1, dim}));
  register_module("k_proj", k_proj_);
  register_module("v_proj", v_proj_);
  register_module("q_proj", q_proj_);
  register_module("out_proj", out_proj_);
  if (rope) rot_emb_ = register_module("rot_emb", RotaryEmbedding(dim / heads));
}

at::Tensor MultiheadAttentionImpl::forward(const at::Tensor& x, const AttentionKeys& keys,
                                           const Dropout& dropout, Along along) {
  const kernels::TokenAttention in{
      .q = q_proj_(x),
      .k = k_proj_(x),
      .v = v_proj_(x),
      .token_k = bias_k_,
      .token_v = bias_v_,
      .bias = keys.bias,
      .inv_freq = rot_emb_ ? rot_emb_->inv_freq() : at::Tensor(),
      .heads = heads_,
      .token_position = keys.token_position > 0 ? keys.token_position : x.size(-2),
  };
  return out_proj_(dropout.active() ? attend_with_dropout(in, dropout, along) : kernels::token_attention(in));
}

AttentionWithRopeImpl::AttentionWithRopeImpl(std::int64_t dim, std::int64_t heads, bool rope)
    : attn_(dim, heads, rope) {
  register_module("attn", attn_);
}

}  // namespace mdgen::model
