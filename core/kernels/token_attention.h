// Multi-head self-attention along S positions with rotary position embedding and one more key and value, the
// token, which no mask hides (reference: mha.py, and fair-esm's RotaryEmbedding):
//   o_i = sum_j softmax_j(rot(q_i) . rot(k_j) / sqrt(D) + bias_j) v_j,  j over the S positions and the token
//
// On the CPU, with q, k and v alike in float32 or bfloat16, an own kernel goes through it head by head
// (core/kernels/cpu/head_attention.h). It reads q, k and v where the linear layers left them, computes in
// float32, keeps them and one number a query for the backward pass, and needs no memory that grows with S *
// S. The gradients of the token are sums over fixed blocks of sequences, added in their order: nothing
// depends on the number of threads. Otherwise ATen's composition, which defines the operation.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace mdgen::kernels {

// x (..., S, D), D even: each pair (x_i, x_{i + D/2}) turned by p * inv_freq[i], p = first, first + 1, ….
at::Tensor rotate_by_position(const at::Tensor& x, const at::Tensor& inv_freq, std::int64_t first = 0);

struct TokenAttention {
  at::Tensor q, k, v;               // (N1, N2, S, H * D), any view
  at::Tensor token_k, token_v;      // H * D numbers
  at::Tensor bias;                  // (N1 * N2 or 1, 1, 1, S + 1): of the keys, no gradient
  at::Tensor inv_freq;              // (D / 2); undefined: nothing is rotated
  std::int64_t heads = 1;           // H
  std::int64_t token_position = 0;  // the token's rotary position
};

// (N1, N2, S, H * D), in v's type. Differentiable in q, k, v and the token, once.
at::Tensor token_attention(const TokenAttention& in);

// The composition.
at::Tensor token_attention_reference(const TokenAttention& in);

// (N1 * N2, H, S or S + 1, D): queries and keys rotated, keys and values with the token, as scores need them.
struct SplitHeads {
  at::Tensor q, k, v;
};
SplitHeads split_heads(const TokenAttention& in);
// (N1 * N2, H, S, D) -> (N1, N2, S, H * D).
at::Tensor join_heads(const at::Tensor& attended, const TokenAttention& in);

}  // namespace mdgen::kernels
