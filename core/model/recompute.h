// Activation checkpointing: a part of the model keeps none of its activations for backward, which computes
// them again (Chen et al., arXiv 1604.06174). LibTorch's C++ API has no such function.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <vector>

namespace mdgen::model {

// The value of run(inputs), whose graph holds `inputs` and what `run` captures, but nothing that `run`
// computes. In backward `run` is called once more, on the same values and under the autocast settings of the
// first call, so it must be a pure function of the inputs, the parameters and what it captured; the gradients
// are then the same bit for bit. `parameters` are the leaves that `run` uses: their gradients are accumulated
// once, by the outer backward pass, as without recomputation (so that hooks on them see the same). What `run`
// captures besides gets no gradient. Without gradients, or with nothing to differentiate, it is run(inputs).
at::Tensor recomputed(const std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>& run,
                      const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& parameters);

}  // namespace mdgen::model
