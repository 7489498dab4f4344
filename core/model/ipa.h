// Invariant point attention (AlphaFold supplement, algorithm 22) without a pair representation, as the
// reference has it (ipa.py): attention whose logits also hold the squared distances between points that each
// residue predicts in its own frame.
//
// Between its linear layers everything is computed in the frames' type (float32, or float64 under 64-true),
// autocast or half-precision weights notwithstanding: coordinates of tens of Å have no digits to spare in
// half precision.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "core/model/dropout.h"
#include "core/model/linear.h"
#include "core/protein/rigid.h"

namespace mdgen::model {

struct IpaSizes {
  std::int64_t dim = 0;       // channels of a token
  std::int64_t heads = 0;     // H
  std::int64_t head_dim = 0;  // scalar channels of a head
  std::int64_t qk_points = 0;
  std::int64_t v_points = 0;
};

// What the reference adds to the logits: 0 between two real residues, -1e5 elsewhere. mask (N, L) ->
// (N, 1, L, L). A padded row thus attends to all keys alike; nothing reads it.
at::Tensor ipa_pair_bias(const at::Tensor& mask);

class InvariantPointAttentionImpl : public torch::nn::Module {
 public:
  explicit InvariantPointAttentionImpl(const IpaSizes& sizes);

  // s (N, L, C), frames (N, L) in Å, pair_bias (N, 1, L, L) -> (N, L, C). Memory grows as N H L^2, never with
  // the number of points. Where N = B * M, `dropout` takes M for frames.
  at::Tensor forward(const at::Tensor& s, const protein::Rigid& frames, const at::Tensor& pair_bias,
                     const Dropout& dropout = {});

 private:
  struct Projections {
    at::Tensor q, kv, q_points, kv_points;  // (N, L, …)
  };
  at::Tensor attend(const Projections& from, const protein::Rigid& frames, const at::Tensor& pair_bias,
                    const Dropout& dropout) const;
  at::Tensor logits(const at::Tensor& q, const at::Tensor& k, const at::Tensor& q_points,
                    const at::Tensor& k_points) const;

  IpaSizes sizes_;
  at::Tensor head_weights_;  // (H)
  Linear linear_q_, linear_kv_, linear_q_points_, linear_kv_points_, linear_out_;
};
TORCH_MODULE(InvariantPointAttention);

}  // namespace mdgen::model
