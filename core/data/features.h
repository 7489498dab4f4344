// What the model is told of a protein's motion.
#pragma once

#include <torch/torch.h>

namespace mdgen::data {

// Which atoms count as there.
enum class AtomMasks {
  kPresent,   // those of the residue type that are not all zeros in a frame of the window; N, CA and C always
  kSequence,  // all of the residue type, as the reference (B20)
};

struct Features {
  at::Tensor trans;         // (T, L, 3) Å
  at::Tensor rots;          // (T, L, 3, 3)
  at::Tensor torsions;      // (T, L, 7, 2)
  at::Tensor torsion_mask;  // (L, 7)
};

// atom14 (T, n, 14, 3) float32, aatype (n) int64. The first `context` residues (0 or 1) are there only to
// give their successor its pre-omega and phi: the result starts after them. An angle of the residue type
// whose atoms are absent is 0.
Features make_features(const at::Tensor& atom14, const at::Tensor& aatype, std::int64_t context,
                       AtomMasks masks);

struct Atoms {
  at::Tensor positions;  // (T, L, 37, 3) Å
  at::Tensor mask;       // (L, 37)
};
Atoms make_atoms(const at::Tensor& atom14, const at::Tensor& aatype, AtomMasks masks);

}  // namespace mdgen::data
