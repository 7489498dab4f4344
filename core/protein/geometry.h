// Atoms by name, and from frames and torsions (AlphaFold supplement 1.8); local_geometry.h has the way back.
// Å; any device; float32 unless said.
#pragma once

#include <torch/torch.h>

#include "core/protein/rigid.h"

namespace mdgen::protein {

// atom14 (T, L, 14, 3), aatype (T, L) or (L) int64 -> (T, L, 37, 3); absent atoms 0.
at::Tensor atom14_to_atom37(const at::Tensor& atom14, const at::Tensor& aatype);
at::Tensor atom37_to_atom14(const at::Tensor& atom37, const at::Tensor& aatype);

// frames (*, L), torsions (*, L, 7, 2), aatype (*, L) -> (*, L, 14, 3) with ideal bond lengths and angles.
at::Tensor frames_torsions_to_atom14(const Rigid& frames, const at::Tensor& torsions,
                                     const at::Tensor& aatype);

}  // namespace mdgen::protein
