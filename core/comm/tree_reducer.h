// The sum of gradients with the same bits for every number of ranks (determinism: strict).
//
// The terms are the micro-batches' gradients, added by the fixed binary tree of base/sum_tree.h. A rank adds
// what it can of its own range while it computes, and keeps at most 2 log2 of its micro-batches partial sums.
// At the end the flat buffer is cut into one slice a rank: by an all-to-all each rank gets its slice of every
// partial sum, adds them by the same tree, and an all-gather gives all of it to all.
#pragma once

#include <memory>

#include "core/comm/collective.h"
#include "core/comm/gradient_sum.h"

namespace mdgen::comm {

class TreeReducer : public GradientSum {
 public:
  // `parameters` in the model's order; equal on all ranks. `collective` must outlive it.
  TreeReducer(std::vector<at::Tensor> parameters, Collective& collective);
  ~TreeReducer() override;

  void start_step(const std::vector<std::int64_t>& bounds) override;
  void before_backward(bool is_last) override;
  void after_backward() override;
  // Throws Error(kInternal) when this rank did not compute what `bounds` say.
  void finish_step() override;
  at::Tensor flat() const override;
  const std::vector<std::size_t>& parameters_without_gradient() const override;

  // The most partial sums that were kept at a time since the start.
  std::size_t most_parts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mdgen::comm
