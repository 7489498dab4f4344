// Flow-matching transport (reference: mdgen/transport/{path,transport}.py, after SiT, Ma et al., arXiv
// 2401.08740). x_t = alpha(t) x_1 + sigma(t) x_0 with noise x_0 at t = 0 and data x_1 at t = 1.
#pragma once

#include <torch/torch.h>

#include <functional>

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

struct Losses {
  at::Tensor per_sample;  // (B): masked mean over T, L, C; under design its weighted sum with the sequence's
  // Under design only: per sample, the masked mean of the continuous channels (undefined for mpnn and
  // dynamic_mpnn, which have none) and the cross-entropy of the sequence; and the logits: (B, T, L, 20), for
  // mpnn and dynamic_mpnn (B, 1, L, 20).
  at::Tensor continuous;  // (B)
  at::Tensor discrete;    // (B)
  at::Tensor logits;
  at::Tensor t;       // (B)
  at::Tensor xt;      // (B, T, L, C)
  at::Tensor ut;      // (B, T, L, C)
  at::Tensor output;  // (B, T, L, C)
};

class Transport {
 public:
  Transport(PathType path, Prediction prediction) : path_(path), prediction_(prediction) {}
  explicit Transport(const v1::TransportSpec& spec);

  // Uniform draws in [0, 1) to flow times in the training range.
  at::Tensor flow_time(const at::Tensor& uniform) const;

  // `model(xt, t)` -> (B, T, L, C). x1, x0, mask (B, T, L, C); t (B).
  Losses training_losses(const std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>& model,
                         const at::Tensor& x1, const at::Tensor& x0, const at::Tensor& t,
                         const at::Tensor& mask) const;

 private:
  PathType path_;
  Prediction prediction_;
};

}  // namespace mdgen::transport
