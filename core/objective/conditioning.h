// Which tokens, residues and channels a mode gives, hides and supervises.
#pragma once

#include <torch/torch.h>

#include "core/data/batch.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::objective {

// (B, T, L) int64: 1 where the model is given the latents themselves.
at::Tensor given_tokens(const v1::ModelSpec& spec, at::IntArrayRef tokens, at::Device device);

// (B, L) int64: the batch's residue types, under design kHiddenType at the designed residues.
at::Tensor visible_types(const v1::ModelSpec& spec, const at::Tensor& types);

// (B, L, C): which channels of a residue count in the loss. Given tokens do. Under supervise_all_torsions
// every torsion channel of a residue does; `on_padding` says whether padding's do as well, as in the
// reference.
at::Tensor supervised_channels(const v1::ModelSpec& spec, const data::Batch& batch, bool on_padding);

}  // namespace mdgen::objective
