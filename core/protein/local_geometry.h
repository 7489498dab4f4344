// From atoms to what the model sees of a protein: backbone frames and torsion angles (AlphaFold supplement
// 1.8), for a whole batch in one set of tensor operations.
#pragma once

#include <torch/torch.h>

#include "core/protein/rigid.h"

namespace mdgen::protein {

struct LocalGeometry {
  Rigid frames;  // (B, T, L): origin CA, in the reference's axes
  at::Tensor
      torsions;  // (B, T, L, 7, 2): sin, cos of pre-omega, phi, psi, chi1-4; 0 for a chi that there is not
};

// atom14 (B, T, 1 + L, 14, 3) Å, float16 or float32; aatype (B, L) int64, on the same device. The first
// residue is there only for its successor's pre-omega and phi: zeros where there is none. float32 out. Values
// that come from absent atoms (zeros) are finite and mean nothing. Not differentiable.
LocalGeometry local_geometry(const at::Tensor& atom14, const at::Tensor& aatype);

// Which of the seven angles have all four atoms: present (B, 1 + L, 14), 1 or 0, the predecessor's first;
// aatype (B, L). (B, L, 7) of present's dtype.
at::Tensor defined_torsions(const at::Tensor& present, const at::Tensor& aatype);

// A first residue of zeros in front of the others, along `dim`.
at::Tensor with_predecessor(const at::Tensor& values, std::int64_t dim);

}  // namespace mdgen::protein
