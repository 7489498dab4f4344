// Data-parallel gradients: one flat buffer in buckets, each reduced as soon as backward has filled it.
//
// The buffer holds every parameter's gradient (param.grad() is a view into it). Buckets fill from the last
// parameter to the first, the order in which backward makes gradients. A rank without samples joins every
// bucket with zeros. A parameter that no backward pass reached on any rank has no gradient after the step (as
// in PyTorch, where its grad stays None): the ranks agree on which those are by a small reduction that leaves
// after the buckets.
//
// The buffer has the parameters' type; for bfloat16 and float16 parameters it is float32 (their grad_dtype is
// set so), so that neither accumulation nor reduction rounds to half precision. The sum's last bits depend on
// the number of ranks; tree_reducer.h is for who minds.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <vector>

#include "core/comm/collective.h"
#include "core/comm/gradient_sum.h"

namespace mdgen::comm {

class GradientReducer : public GradientSum {
 public:
  // `parameters` in the model's order; equal on all ranks. `bucket_bytes` bounds a bucket (a larger parameter
  // has one of its own).
  GradientReducer(std::vector<at::Tensor> parameters, Collective& collective,
                  std::size_t bucket_bytes = 8U << 20);
  ~GradientReducer() override;

  // Zeroes the buffer and forgets the last step.
  void start_step();
  // Call before the backward pass of the last micro-batch: from then on a bucket leaves when its gradients
  // are complete.
  void start_last_backward();
  // Sends the buckets that have not left and waits for all. Throws as Collective does.
  void finish_step() override;

  at::Tensor flat() const override;
  const std::vector<std::size_t>& parameters_without_gradient() const override;

  // As GradientSum: which rank has which micro-batch does not matter here.
  void start_step(const std::vector<std::int64_t>&) override { start_step(); }
  void before_backward(bool is_last) override {
    if (is_last) start_last_backward();
  }
  void after_backward() override {}

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mdgen::comm
