// Solvers of dx/dt = f(t, x) from noise to data.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace mdgen::sample {

// f(t, x) for samples of the batch: `rows` (n) int64 says which, so that what conditions them can be looked
// up; t (n) every one's own time and x (n, …), both of x0's type -> (n, …).
using Drift = std::function<at::Tensor(const at::Tensor& t, const at::Tensor& x, const at::Tensor& rows)>;

enum class ErrorNorm {
  kSample,  // each sample has an error norm and a step size of its own: it does not depend on its batch mates
  kBatch,   // one root mean square over the batch, as the reference (torchdiffeq 0.2.5)
};

struct Dopri5Options {
  double rtol = 1e-3;
  double atol = 1e-6;
  ErrorNorm norm = ErrorNorm::kSample;
  // 1 where an element counts in the norm, so that padding, whose extent is the batch mates' affair, does
  // not. Broadcastable to x0; undefined: all count, as in the reference.
  at::Tensor counted = {};
  std::int64_t max_steps = 100000;  // of one sample, rejected ones included
};

struct OdeResult {
  at::Tensor x;                        // at t1
  std::int64_t evaluations = 0;        // calls of the drift
  std::vector<std::int64_t> accepted;  // (B): steps
  std::vector<std::int64_t> rejected;  // (B)
};

// Dormand and Prince's method of order 5 (J. Comput. Appl. Math. 6, 1980) as torchdiffeq runs it: its first
// step and step size control (step_control.h), first same as last, steps that may pass t1 and the quartic
// interpolation back to it. Times are kept in double; the drift is given them rounded to x0's type, at a
// step's end the number below. Samples that have arrived are evaluated no more. One thing is ours: where a
// step past t1 meets a drift that is not finite (a path that ends there), it is taken again up to t1.
//
// x0 (B, …) float32 or float64. Throws Error: kInvalidArgument for other types, t1 <= t0 or tolerances that
// are not positive; kDataLoss naming sample and time where the drift or the state is not finite; kUnavailable
// naming sample and time when max_steps are used up or the step size falls to nothing.
OdeResult dopri5(const Drift& drift, const at::Tensor& x0, double t0, double t1,
                 const Dopri5Options& options = {});

// `steps` equal steps of the explicit Euler method. Throws as above.
OdeResult euler(const Drift& drift, const at::Tensor& x0, double t0, double t1, std::int64_t steps);

}  // namespace mdgen::sample
