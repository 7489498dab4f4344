// From start noise to trajectories (reference: wrapper.py inference).
#pragma once

#include <torch/torch.h>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

struct Sampled {
  // (B, T, L, C), design's 20 sequence channels included; undefined for mpnn and dynamic_mpnn.
  at::Tensor latents;
  at::Tensor atom14;             // (B, T, L, 14, 3) Å
  at::Tensor aatype;             // (B, T, L) int64: the given sequence, under design the generated one
  std::int64_t evaluations = 0;  // of the network
};

// `batch` says what is given, as in training; `batch.noise` (B, T, L, C without the sequence) and, under
// design, `batch.simplex` (a Dirichlet(1, …, 1) draw) are where the flow starts. Solver, tolerances and error
// norm come from spec.transport. The model's mode and weights are the caller's. No gradients are kept.
Sampled sample(model::LatentModel& model, const v1::JobSpec& spec, const data::Batch& batch);

}  // namespace mdgen::sample
