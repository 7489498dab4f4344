// The sum of gradients over all ranks' micro-batches of a step, in one flat buffer.
//
// Used as:  start_step(bounds)
//           for each of this rank's micro-batches: before_backward(is the last), backward, after_backward()
//           finish_step(); then each param.grad() is its part of flat()
//
// A micro-batch without usable samples has no backward in between. A rank without micro-batches joins with
// start_step() and finish_step(). A parameter that no backward pass reached on any rank has no gradient after
// the step (as in PyTorch, where its grad stays None). The sum is not divided: the loss is already weighted
// by 1 / (samples of the global batch), see train/step.h. Gradients of half-precision parameters are added in
// float32. Not thread-safe; throws what Collective throws.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace mdgen::comm {

class GradientSum {
 public:
  virtual ~GradientSum() = default;

  // `bounds`: rank r has the step's micro-batches bounds[r] … bounds[r + 1] - 1; TreeReducer needs them.
  virtual void start_step(const std::vector<std::int64_t>& bounds) = 0;
  virtual void before_backward(bool is_last) = 0;
  virtual void after_backward() = 0;
  virtual void finish_step() = 0;

  // Everything from here on is valid between finish_step() and start_step(), and equal on all ranks.
  // All gradients, flat, from the last parameter to the first, zero where there is none.
  virtual at::Tensor flat() const = 0;
  // Indices, ascending, of the parameters that no rank's backward passes reached: their grad() is undefined.
  virtual const std::vector<std::size_t>& parameters_without_gradient() const = 0;
};

}  // namespace mdgen::comm
