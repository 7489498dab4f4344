// Solvers of dx/dt = f(t, x) from noise to data.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>

namespace mdgen::sample {

// f(t, x): t (B) float32, every sample's own time; x (B, …) -> (B, …).
using Drift = std::function<at::Tensor(const at::Tensor& t, const at::Tensor& x)>;

enum class ErrorNorm {
  kSample,  // each sample has an error norm and a step size of its own: it does not depend on its batch mates
  kBatch,   // one root mean square over the batch, as the reference (torchdiffeq 0.2.5)
};

struct Dopri5Options {
  double rtol = 1e-3;
  double atol = 1e-6;
  ErrorNorm norm = ErrorNorm::kSample;
  std::int64_t max_steps = 100000;  // Error(kUnavailable) beyond it, with the time reached
};

struct OdeResult {
  at::Tensor x;                  // at t1
  std::int64_t evaluations = 0;  // of the drift
};

// Dormand-Prince 5(4) with torchdiffeq's rules: its first step, its step size control, steps that may pass t1
// and the quartic interpolation back to it.
OdeResult dopri5(const Drift& drift, const at::Tensor& x0, double t0, double t1,
                 const Dopri5Options& options = {});

// `steps` equal steps of the explicit Euler method.
OdeResult euler(const Drift& drift, const at::Tensor& x0, double t0, double t1, std::int64_t steps);

}  // namespace mdgen::sample
