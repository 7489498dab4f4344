// A batch to latents, conditioning, masks and loss (reference: wrapper.py prep_batch and general_step). What
// each mode is given and generates is tabled in docs/training.md.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <optional>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "core/transport/transport.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::objective {

// The residues that a tetrapeptide's design leaves open, and those that inpainting and the two mpnn modes are
// given (reference: DESIGN_IDX, COND_IDX). Under atlas they count from the crop's first residue.
inline constexpr std::array<std::int64_t, 2> kDesignedResidues = {1, 2};
inline constexpr std::array<std::int64_t, 2> kGivenResidues = {0, 3};
// Whose frame each residue shows in the first and the last frame under design_key_frames
// (DESIGN_MAP_TO_COND).
inline constexpr std::array<std::int64_t, 4> kKeyFrameResidues = {0, 0, 3, 3};
// The residue type that stands for a hidden one.
inline constexpr std::int64_t kHiddenType = 20;

struct Prepared {
  at::Tensor latents;    // (B, T, L, C): as model::LatentLayout says, without the sequence
  at::Tensor loss_mask;  // (B, T, L, C)
  model::Conditioning conditioning;
  protein::Rigid frames;  // (B, T, L): what the offsets are of; undefined under no_frames
  std::optional<transport::SequenceTarget> sequence;  // under design
};
// Shapes and meanings of the batch's tensors are in data/batch.h; of the spec, `model`,
// transport.discrete_loss_weight and reference_compat are read. Throws Error(kInvalidArgument) when the batch
// has too few residues or frames for the mode.
Prepared prepare(const data::Batch& batch, const v1::JobSpec& resolved);

// C of Prepared::latents and of Batch::noise.
int latent_channels(const v1::ModelSpec& spec);

// `t` (B) flow times in the transport's range, `x0` (B, T, L, C) noise.
transport::Losses training_losses(model::LatentModel& model, const transport::Transport& transport,
                                  const Prepared& prepared, const at::Tensor& t, const at::Tensor& x0);

}  // namespace mdgen::objective
