#include "core/objective/metrics.h"

namespace mdgen::objective {
namespace {

at::Tensor mean_if_any(const at::Tensor& values) { return values.defined() ? values.mean() : values; }

// hits (B, T, L), weight (B, L)
at::Tensor share(const at::Tensor& hits, const at::Tensor& weight) {
  const at::Tensor tokens = weight.unsqueeze(1).expand_as(hits);
  return (hits * tokens).sum() / tokens.sum();
}

}  // namespace

BatchMeans batch_means(const transport::Losses& losses, const at::Tensor& types, const at::Tensor& mask) {
  const torch::NoGradGuard no_grad;
  BatchMeans means;
  means.loss = losses.per_sample.mean();
  means.time = losses.t.mean();
  if (!losses.logits.defined()) return means;
  means.loss_continuous = mean_if_any(losses.continuous);
  means.loss_discrete = mean_if_any(losses.discrete);

  const at::Tensor real = mask.to(at::kFloat);
  const at::Tensor has_next = at::constant_pad_nd(real.slice(1, 1), {0, 1});
  at::Tensor inner = real * has_next;
  inner.select(1, 0).zero_();
  const at::Tensor hits = losses.logits.argmax(-1).eq(types.unsqueeze(1)).to(at::kFloat);
  means.category_pred_design_aa_recovery = share(hits, inner);
  means.category_pred_cond_aa_recovery = share(hits, real - inner);
  return means;
}

}  // namespace mdgen::objective
