#include "core/model/attention.h"

#include <cmath>
#include <limits>

namespace mdgen::model {
namespace {

constexpr double kRotaryBase = 10000;

// softmax(q kᵀ / sqrt(D) + bias) v, for (N, H, S, D); with dropout on the probabilities.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias,
                  const Dropout& dropout, Along along) {
  const at::ScalarType type = v.scalar_type();
  if (!dropout.active()) return at::scaled_dot_product_attention(q.to(type), k.to(type), v, bias.to(type));
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  const at::Tensor scores = at::matmul((q * scale).to(type), k.to(type).transpose(-1, -2));
  const at::ScalarType exact = type == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor probabilities = at::softmax(scores + bias, -1, exact);
  return at::matmul(dropout.apply(probabilities, along).to(type), v);
}

}  // namespace

at::Tensor rotate_by_position(const at::Tensor& x, const at::Tensor& inv_freq, std::int64_t first) {
  const at::Tensor positions = at::arange(first, first + x.size(-2), inv_freq.options());
  const at::Tensor angles = at::outer(positions, inv_freq);
  const at::Tensor cos = angles.cos();
  const at::Tensor sin = angles.sin();
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

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

// (N1, N2, S, C) -> (N1, N2, H, S, D), a view.
at::Tensor MultiheadAttentionImpl::split_heads(const at::Tensor& x) const {
  return x.unflatten(-1, {heads_, -1}).transpose(-2, -3);
}

at::Tensor MultiheadAttentionImpl::rotated(const at::Tensor& x, std::int64_t first) const {
  return rot_emb_ ? rotate_by_position(x, rot_emb_->inv_freq(), first) : x;
}

at::Tensor MultiheadAttentionImpl::forward(const at::Tensor& x, const AttentionKeys& keys,
                                           const Dropout& dropout, Along along) {
  const std::int64_t token_position = keys.token_position > 0 ? keys.token_position : x.size(-2);
  const auto with_token = [&](const at::Tensor& all, const at::Tensor& token) {
    std::vector<std::int64_t> shape = all.sizes().vec();
    shape[3] = 1;
    return at::cat({all, token.expand(shape)}, -2).flatten(0, 1);
  };
  const at::Tensor token_k = split_heads(bias_k_.unsqueeze(0));
  const at::Tensor token_v = split_heads(bias_v_.unsqueeze(0));
  const at::Tensor q = rotated(split_heads(q_proj_(x)), 0).flatten(0, 1);
  const at::Tensor k = with_token(rotated(split_heads(k_proj_(x)), 0), rotated(token_k, token_position));
  const at::Tensor v = with_token(split_heads(v_proj_(x)), token_v);
  const at::Tensor attended = attend(q, k, v, keys.bias, dropout, along);
  return out_proj_(attended.transpose(1, 2).flatten(-2).unflatten(0, {x.size(0), x.size(1)}));
}

AttentionWithRopeImpl::AttentionWithRopeImpl(std::int64_t dim, std::int64_t heads, bool rope)
    : attn_(dim, heads, rope) {
  register_module("attn", attn_);
}

}  // namespace mdgen::model
