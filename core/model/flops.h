// How many floating-point operations the model needs: a function of its config and of a batch's shape alone.
//
// Counted are the matrix products (linear layers, attention, what IPA does with points and frames) at two
// operations a multiplication, IPA's distances likewise, and Hyena's convolutions (a Fourier transform of n
// reals: 2.5 n log2 n). Norms, softmax and all else that works element by element are left out, as is usual
// for a model's FLOPs. Padding counts: it is computed. No LibTorch.
#pragma once

#include <cstdint>

#include "core/model/model_config.h"

namespace mdgen::model {

struct BatchShape {
  std::int64_t samples = 0;
  std::int64_t frames = 0;    // of the batch; a sequence model looks at one or two of them
  std::int64_t residues = 0;  // padding included
};

double forward_flops(const ModelConfig& config, const BatchShape& batch);

// Forward and backward, which is twice the forward's (a product's two gradients are products of the same
// size), and what grad_checkpointing computes once more.
double training_flops(const ModelConfig& config, const BatchShape& batch);

}  // namespace mdgen::model
