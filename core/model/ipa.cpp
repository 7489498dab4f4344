#include "core/model/ipa.h"

#include <cmath>

namespace mdgen::model {
namespace {

constexpr double kMaskedLogit = 1e5;
constexpr double kNormEpsilon = 1e-8;
constexpr std::int64_t kCdistWithoutMatmul = 2;

// Points lie as (N, L, 3, H * P) here: the linear layers give them so, and one matrix product moves them all.
at::Tensor to_global(const protein::Rigid& frames, const at::Tensor& points) {
  return at::matmul(frames.rots, points) + frames.trans.unsqueeze(-1);
}

at::Tensor to_local(const protein::Rigid& frames, const at::Tensor& points) {
  return at::matmul(frames.rots.transpose(-1, -2), points - frames.trans.unsqueeze(-1));
}

// (N, L, 3, H, P) -> (N, H, L, 3 * P).
at::Tensor points_by_head(const at::Tensor& points) { return points.permute({0, 3, 1, 2, 4}).flatten(3); }

}  // namespace

at::Tensor ipa_pair_bias(const at::Tensor& mask) {
  const at::Tensor both = mask.unsqueeze(-1) * mask.unsqueeze(-2);
  return (kMaskedLogit * (both - 1)).unsqueeze(1);
}

InvariantPointAttentionImpl::InvariantPointAttentionImpl(const IpaSizes& sizes)
    : sizes_(sizes),
      linear_q_(sizes.dim, sizes.heads * sizes.head_dim),
      linear_kv_(sizes.dim, 2 * sizes.heads * sizes.head_dim),
      linear_q_points_(sizes.dim, 3 * sizes.heads * sizes.qk_points),
      linear_kv_points_(sizes.dim, 3 * sizes.heads * (sizes.qk_points + sizes.v_points)),
      linear_out_(sizes.heads * (sizes.head_dim + 4 * sizes.v_points), sizes.dim) {
  head_weights_ = register_parameter("head_weights", at::zeros({sizes.heads}));
  register_module("linear_q", linear_q_);
  register_module("linear_kv", linear_kv_);
  register_module("linear_q_points", linear_q_points_);
  register_module("linear_kv_points", linear_kv_points_);
  register_module("linear_out", linear_out_);
}

at::Tensor InvariantPointAttentionImpl::logits(const at::Tensor& q, const at::Tensor& k,
                                               const at::Tensor& q_points, const at::Tensor& k_points) const {
  const double scalar_scale = std::sqrt(1.0 / (3.0 * static_cast<double>(sizes_.head_dim)));
  const double point_scale = std::sqrt(1.0 / (3.0 * (static_cast<double>(sizes_.qk_points) * 9.0 / 2)));
  const at::Tensor weights =
      (at::softplus(head_weights_.to(q.scalar_type())) * (-0.5 * point_scale)).view({-1, 1, 1});
  const at::Tensor distances = at::cdist(q_points, k_points, 2.0, kCdistWithoutMatmul).square();
  return at::addcmul(at::matmul(q, k.transpose(-1, -2)) * scalar_scale, weights, distances);
}

at::Tensor InvariantPointAttentionImpl::forward(const at::Tensor& s, const protein::Rigid& frames,
                                                const at::Tensor& pair_bias, const Dropout& dropout) {
  const at::ScalarType exact = frames.trans.scalar_type();
  Projections from;
  from.q = linear_q_(s).to(exact);
  from.kv = linear_kv_(s).to(exact);
  from.q_points = linear_q_points_(s).to(exact);
  from.kv_points = linear_kv_points_(s).to(exact);
  return linear_out_(attend(from, frames, pair_bias, dropout).to(s.scalar_type()));
}

at::Tensor InvariantPointAttentionImpl::attend(const Projections& from, const protein::Rigid& frames,
                                               const at::Tensor& pair_bias, const Dropout& dropout) const {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const std::int64_t heads = sizes_.heads;
  const at::Tensor q = from.q.unflatten(-1, {heads, -1}).transpose(1, 2);
  const auto kv = from.kv.unflatten(-1, {heads, -1}).transpose(1, 2).chunk(2, -1);

  const at::Tensor q_points = to_global(frames, from.q_points.unflatten(-1, {3, -1}));
  const at::Tensor kv_points =
      to_global(frames, from.kv_points.unflatten(-1, {3, -1})).unflatten(-1, {heads, -1});
  const auto split = kv_points.split_with_sizes({sizes_.qk_points, sizes_.v_points}, -1);

  const at::Tensor scores =
      logits(q, kv[0], points_by_head(q_points.unflatten(-1, {heads, -1})), points_by_head(split[0]));
  const at::Tensor weights = dropout.apply(at::softmax(scores + pair_bias, -1), Along::kResidues);
  const at::Tensor values = at::cat({kv[1], points_by_head(split[1])}, -1);
  const auto gathered =
      at::matmul(weights, values).split_with_sizes({sizes_.head_dim, 3 * sizes_.v_points}, -1);

  const at::Tensor scalars = gathered[0].transpose(1, 2).flatten(2);
  const at::Tensor points = to_local(
      frames, gathered[1].unflatten(-1, {3, -1}).permute({0, 2, 3, 1, 4}).flatten(3));  // (N, L, 3, H * P)
  const at::Tensor norms = at::sqrt(points.square().sum(2) + kNormEpsilon);
  return at::cat({scalars, points.flatten(2), norms}, -1);
}

}  // namespace mdgen::model
