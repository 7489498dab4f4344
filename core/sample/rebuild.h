// Latents back to atoms.
#pragma once

#include <torch/torch.h>

#include "core/protein/rigid.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::sample {

// (*, 14) -> (*, 7, 2): sines and cosines of unit length, a zero pair as angle 0 (the reference divides by
// zero). Under `oracle` as they are.
at::Tensor torsions_of(const at::Tensor& channels, const v1::ModelSpec& spec);

// latents (B, T, L, C), `first` (B, 1, L) the frames that offsets are against, types (B, L)
// -> (B, T, L, 14, 3) Å.
at::Tensor rebuild_atom14(const at::Tensor& latents, const protein::Rigid& first, const at::Tensor& types,
                          const v1::ModelSpec& spec);

}  // namespace mdgen::sample
