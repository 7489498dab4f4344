// Self-attention, with or without rotary position embedding, and with one learned bias token (reference:
// mha.py, and latent_model.py AttentionWithRoPE; RoPE as in fair-esm's RotaryEmbedding).
//
// The bias token is a key and value of its own after the S positions: no mask hides it, and it is rotated
// like a key at position S, or at a later one where S has been trimmed of padding.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/model/dropout.h"
#include "core/model/linear.h"

namespace mdgen::model {

// What attention is told of its keys, those of the S positions and the bias token.
struct AttentionKeys {
  at::Tensor bias;                  // (N, 1, 1, S + 1): added to the scores
  std::int64_t token_position = 0;  // the bias token's rotary position; 0: S
};
// The bias is 0 where `mask` (N, S) is 1 and for the bias token; where it is 0, -infinity, or 1 with
// `attends_padding` (see ModelConfig).
AttentionKeys attention_keys(const at::Tensor& mask, bool attends_padding = false,
                             std::int64_t token_position = 0);

class RotaryEmbeddingImpl : public torch::nn::Module {
 public:
  explicit RotaryEmbeddingImpl(std::int64_t dim);
  const at::Tensor& inv_freq() const { return inv_freq_; }

 private:
  at::Tensor inv_freq_;  // (D / 2), buffer
};
TORCH_MODULE(RotaryEmbedding);

class MultiheadAttentionImpl : public torch::nn::Module {
 public:
  MultiheadAttentionImpl(std::int64_t dim, std::int64_t heads, bool rope);

  // x (N1, N2, S, C): attends along S; keys of N1 * N2 rows, or of one for all. x may be any view.
  // `along`: what S counts, for dropout; N2 counts the other.
  at::Tensor forward(const at::Tensor& x, const AttentionKeys& keys, const Dropout& dropout = {},
                     Along along = Along::kResidues);

 private:
  std::int64_t heads_;
  at::Tensor bias_k_, bias_v_;  // (1, 1, C)
  Linear k_proj_, v_proj_, q_proj_, out_proj_;
  RotaryEmbedding rot_emb_{nullptr};
};
TORCH_MODULE(MultiheadAttention);

// The reference's wrapper: its parameters lie under "attn".
class AttentionWithRopeImpl : public torch::nn::Module {
 public:
  AttentionWithRopeImpl(std::int64_t dim, std::int64_t heads, bool rope = true);
  at::Tensor forward(const at::Tensor& x, const AttentionKeys& keys, const Dropout& dropout = {},
                     Along along = Along::kResidues) {
    return attn_->forward(x, keys, dropout, along);
  }

 private:
  MultiheadAttention attn_;
};
TORCH_MODULE(AttentionWithRope);

}  // namespace mdgen::model
