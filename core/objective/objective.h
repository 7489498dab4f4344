// A batch to latents, conditioning, masks and loss (reference: wrapper.py prep_batch and general_step).
#pragma once

#include <torch/torch.h>

#include "core/data/batch.h"
#include "core/model/latent_model.h"
#include "core/transport/transport.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::objective {

struct Prepared {
  at::Tensor latents;    // (B, T, L, C): frame offsets (quaternion with w >= 0, translation) and torsions
  at::Tensor loss_mask;  // (B, T, L, C)
  model::Conditioning conditioning;
};
Prepared prepare(const data::Batch& batch, const v1::ModelSpec& spec);

// C of the latents and of Batch::noise.
int latent_channels(const v1::ModelSpec& spec);

// `t` (B) flow times in the transport's range, `x0` (B, T, L, C) noise.
transport::Losses training_losses(model::LatentModel& model, const transport::Transport& transport,
                                  const Prepared& prepared, const at::Tensor& t, const at::Tensor& x0);

}  // namespace mdgen::objective
