// Flow-matching transport (reference: mdgen/transport/{path,transport}.py, after SiT, Ma et al., arXiv
// 2401.08740). x_t = alpha(t) x_1 + sigma(t) x_0 with noise x_0 at t = 0 and data x_1 at t = 1.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <optional>

#include "core/transport/time_range.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::transport {

struct Coefficient {
  at::Tensor value;       // (B, 1, 1, 1)
  at::Tensor derivative;  // with respect to t
};
Coefficient alpha(PathType path, const at::Tensor& t);  // t broadcastable, as is the result
Coefficient sigma(PathType path, const at::Tensor& t);

// The velocity of the probability flow at x (B, …) and t (B) that a model's output stands for (reference:
// get_drift): the output itself, or for a score s, which a noise prediction e is as s = -e / sigma,
//   dx/dt = (alpha'/alpha) x + ((alpha'/alpha) sigma^2 - sigma sigma') s
// (VP: both coefficients from its schedule). Not defined at t = 0 of Linear and GVP, nor where sigma is 0.
at::Tensor velocity_from_prediction(PathType path, Prediction prediction, const at::Tensor& output,
                                    const at::Tensor& x, const at::Tensor& t);

// Design: the sequence that is generated beside the latents (reference: training_losses, "alterations ... to
// include dirichlet flow matching").
struct SequenceTarget {
  at::Tensor types;    // (B, L) int64: the residue types to predict
  at::Tensor mask;     // (B, L): which residues count in the cross-entropy
  at::Tensor simplex;  // (B, L, 20): the noisy sequence at t, a point of the simplex for each residue
  double weight = 0.5;
  // mpnn, dynamic_mpnn: the sequence is all that is generated. The model is asked at t = 1 with a sequence of
  // zeros, and `simplex` is not read.
  bool alone = false;
};

struct Losses {
  at::Tensor
      per_sample;  // (B): continuous, or weight x discrete + (1 - weight) x continuous, or discrete alone
  // Masked mean over T, L, C; undefined for a sequence alone.
  at::Tensor continuous;  // (B)
  // Under design only: cross-entropy, its mean over T and the mask's residues; and the logits, whose T is 1
  // for a sequence alone.
  at::Tensor discrete;  // (B)
  at::Tensor logits;    // (B, T, L, 20)
  at::Tensor t;         // (B): what the model was asked at
  at::Tensor xt;        // (B, T, L, C), under design C + 20
  at::Tensor ut;        // (B, T, L, C)
  at::Tensor output;    // the model's: xt's shape, for a sequence alone the logits
};

class Transport {
 public:
  Transport(PathType path, Prediction prediction) : path_(path), prediction_(prediction) {}
  explicit Transport(const v1::TransportSpec& spec);

  // Uniform draws in [0, 1) to flow times in the training range.
  at::Tensor flow_time(const at::Tensor& uniform) const;

  // `model(xt, t)` -> Losses::output. x1, x0, mask (B, T, L, C); t (B). A sequence needs prediction velocity.
  Losses training_losses(const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& model,
                         const at::Tensor& x1, const at::Tensor& x0, const at::Tensor& t,
                         const at::Tensor& mask,
                         const std::optional<SequenceTarget>& sequence = std::nullopt) const;

 private:
  at::Tensor continuous_loss(const at::Tensor& output, const at::Tensor& ut, const at::Tensor& x0,
                             const Coefficient& sigma, const at::Tensor& mask) const;

  PathType path_;
  Prediction prediction_;
};

}  // namespace mdgen::transport
