// From start noise to trajectories (reference: wrapper.py inference).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

struct Sampled {
  // (B, T, L, C), design's 20 sequence channels included; undefined for mpnn and dynamic_mpnn.
  at::Tensor latents;
  at::Tensor atom14;    // (B, T, L, 14, 3) Å, of the residue types in `sequence`; padding's means nothing
  at::Tensor sequence;  // (B, L) int64: given, under design generated where it was hidden, one for all frames
  // (B, T, L) int64: given, under design the likeliest type of each frame, at given residues too (T = 1 for
  // mpnn and dynamic_mpnn): what a recovery rate is taken of.
  at::Tensor aatype;
  std::int64_t evaluations = 0;        // of the network
  std::vector<std::int64_t> accepted;  // (B): steps of the solver; empty for mpnn and dynamic_mpnn
  std::vector<std::int64_t> rejected;  // (B)
};

// `batch` says what is given, as in training; `batch.noise` (B, T, L, C without the sequence) and, under
// design, `batch.simplex` (a Dirichlet(1, …, 1) draw) are where the flow starts. Solver, tolerances and error
// norm come from spec.transport; reference_compat forces the batch's norm, and under design atoms of the
// given sequence, as the reference. The model's mode and weights are the caller's. No gradients are kept.
//
// `interrupt` is asked before each evaluation of the network; it may throw, which ends the sampling.
// `max_steps`: of dopri5, for one sample. mpnn and dynamic_mpnn ask the model once, at t = 1, for the
// sequence; atom14 is the given structure. Throws Error: what the solvers and prepare() throw, and
// kInvalidArgument for noise of another shape.
Sampled sample(model::LatentModel& model, const v1::JobSpec& spec, const data::Batch& batch,
               std::int64_t max_steps = 100000, const std::function<void()>& interrupt = {});

}  // namespace mdgen::sample
