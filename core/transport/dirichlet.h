// Dirichlet flow over residue types (reference: mdgen/utils.py DirichletConditionalFlow and latent_model.py
// forward_inference, after Stark et al., Dirichlet Flow Matching, arXiv 2402.05841). A residue's sequence
// state x is a point of the simplex over kResidueTypes types. Given type i, x at flow time t is distributed
// as Dirichlet(1 + (alpha(t) - 1) e_i), and moves with velocity alpha'(t) c(x_i, alpha(t)) (e_i - x), where
//
//   c(b, alpha) = - dI_b(alpha, K - 1)/dalpha  B(alpha, K - 1) / ((1 - b)^(K - 1) b^(alpha - 1)),   K = 20,
//
// with the beta function B and the regularised incomplete beta function I.
#pragma once

#include <torch/torch.h>

#include "core/transport/time_range.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::transport {

inline constexpr int kResidueTypes = 20;

struct DirichletFlow {
  double alpha_max = 8;
  double temperature = 1;  // the logits' divisor
  // A c that is not finite counts as 0; otherwise it is Error(kDataLoss).
  bool allow_nan_cfactor = false;
  // c as the reference computes it: finite differences of step 0.001 in alpha, interpolated over 1,000 points
  // in b. That is wrong by orders of magnitude below b = 0.001, zero or noise above 0.85, NaN above 0.996.
  bool tabulated = false;
};
DirichletFlow dirichlet_flow(const v1::JobSpec& resolved);  // tabulated under reference_compat

// alpha(t) = 1 - t + t alpha_max, elementwise.
at::Tensor concentration(const DirichletFlow& flow, const at::Tensor& t);

// c(b, alpha) in float64; b is clamped to [0, 1], alpha > 0 broadcasts against it. Exact to 1e-8 of its
// value.
at::Tensor conditional_factor(const at::Tensor& b, const at::Tensor& alpha);
// The reference's, for b float32 (its powers are taken in float32: that is where its infinities come from).
at::Tensor tabulated_factor(const at::Tensor& b, const at::Tensor& alpha);

// dx/dt of the sequence channels: the mean of the conditional velocities under the predicted probabilities
// softmax(logits / temperature). simplex, logits (B, …, 20); t (B), every sample's own time. The result has
// the simplex's type and shape, and sums to 0 over the types. Past t = 1, where a solver may look, alpha
// stays at alpha_max (tabulated: one spacing below, as the reference).
at::Tensor sequence_velocity(const at::Tensor& simplex, const at::Tensor& logits, const at::Tensor& t,
                             const DirichletFlow& flow);

}  // namespace mdgen::transport
