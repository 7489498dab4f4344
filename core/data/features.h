// What the model is told of a protein's motion, for a whole batch in one set of tensor operations, on the
// device of the atoms.
#pragma once

#include <torch/torch.h>

namespace mdgen::data {

// Which atoms count as there.
enum class AtomMasks {
  kPresent,   // those of the residue type that are not all zeros in a frame of the window; N, CA and C always
  kSequence,  // all of the residue type, as the reference (B20)
};

// What features are made of. All tensors are on one device.
struct Positions {
  at::Tensor atoms;  // (B, T, 1 + L, 14, 3) Å, float16 or float32: the residue before the window comes first
  at::Tensor types;  // (B, L) int64
  at::Tensor mask;   // (B, L) float32: 1 for residues, 0 for padding, where atoms are zeros
  at::Tensor predecessor;  // (B) float32: 1 where the residue before the window is there, else it is zeros
  bool padded = true;      // whether some of the mask is 0
};

// Positions of whole proteins, (B, T, L, 14, 3), without padding.
Positions whole_proteins(const at::Tensor& atom14, const at::Tensor& types);

// float32. Padding: identity frames, zeros.
struct Features {
  at::Tensor trans;         // (B, T, L, 3) Å
  at::Tensor rots;          // (B, T, L, 3, 3)
  at::Tensor torsions;      // (B, T, L, 7, 2); 0 where an angle of the residue type lacks its atoms
  at::Tensor torsion_mask;  // (B, L, 7)
};
Features make_features(const Positions& positions, AtomMasks masks);

struct Atoms {
  at::Tensor positions;  // (B, T, L, 37, 3) Å
  at::Tensor mask;       // (B, L, 37)
};
Atoms make_atoms(const Positions& positions, AtomMasks masks);

}  // namespace mdgen::data
