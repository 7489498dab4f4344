// The kernel of core/kernels/token_attention.h for one head of one sequence: S positions, and one more key
// and value, the token. Everything is computed in float32. Every sum runs in an order that depends on S and D
// alone.
#pragma once

#include <cstdint>

#include "core/kernels/cpu/dispatch.h"

namespace mdgen::kernels::cpu {

// Row s of S lies at s * stride, its D numbers side by side; as float32 or as bfloat16.
template <class Float, class Half>
struct HeadRowsAt {
  Float* f32 = nullptr;
  Half* bf16 = nullptr;
  std::int64_t stride = 0;
};
using InHeadRows = HeadRowsAt<const float, const std::uint16_t>;
using OutHeadRows = HeadRowsAt<float, std::uint16_t>;

struct HeadAttention {
  std::int64_t positions = 0, dim = 0;  // S, D
  float scale = 1;                      // of the scores
  InHeadRows q, k, v;
  const float* token_k = nullptr;  // D, not yet rotated
  const float* token_v = nullptr;
  const float* bias = nullptr;  // S + 1: added to each query's scores
  const float* cos = nullptr;   // (S + 1, D / 2), the last row the token's; null: nothing is rotated
  const float* sin = nullptr;
  float* workspace = nullptr;  // head_attention_workspace(S, D) floats, 64-byte aligned
};

struct HeadAttentionBackward {
  HeadAttention forward;
  const float* log_sums = nullptr;  // S, as forward left them
  InHeadRows out_grad;
  OutHeadRows q_grad, k_grad, v_grad;
  float* token_k_grad = nullptr;  // D, added to
  float* token_v_grad = nullptr;
};

}  // namespace mdgen::kernels::cpu

// Workspace: in floats, for either direction. log_sums: S, the logarithm of each query's sum of exp(score).
MDGEN_IN_EVERY_SET(std::int64_t head_attention_workspace(std::int64_t positions, std::int64_t dim);
                   void head_attention(const HeadAttention& head, const OutHeadRows& out, float* log_sums);
                   void head_attention_backward(const HeadAttentionBackward& head);)
