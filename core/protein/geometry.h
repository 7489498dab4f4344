// Atoms <-> frames and torsions (AlphaFold supplement 1.8). Å; any device; float32 unless said.
#pragma once

#include <torch/torch.h>

#include "core/protein/rigid.h"

namespace mdgen::protein {

// (T, L, 14, 3) -> backbone frames (T, L): origin CA, in the reference's axes.
Rigid atom14_to_frames(const at::Tensor& atom14);

// atom14 (T, L, 14, 3), aatype (T, L) or (L) int64 -> (T, L, 37, 3); absent atoms 0.
at::Tensor atom14_to_atom37(const at::Tensor& atom14, const at::Tensor& aatype);
at::Tensor atom37_to_atom14(const at::Tensor& atom37, const at::Tensor& aatype);

struct Torsions {
  at::Tensor angles;  // (T, L, 7, 2): sin, cos of pre-omega, phi, psi, chi1-4
  at::Tensor mask;    // (T, L, 7): from the sequence alone, as the reference (B20)
};
Torsions atom37_to_torsions(const at::Tensor& atom37, const at::Tensor& aatype);
// Which of the seven angles have all four atoms: atoms (T, L, 37) 1 or 0, aatype (T, L) or (L) -> (T, L, 7).
at::Tensor torsion_mask(const at::Tensor& atoms, const at::Tensor& aatype);

// frames (*, L), torsions (*, L, 7, 2), aatype (*, L) -> (*, L, 14, 3) with ideal bond lengths and angles.
at::Tensor frames_torsions_to_atom14(const Rigid& frames, const at::Tensor& torsions,
                                     const at::Tensor& aatype);

}  // namespace mdgen::protein
