// What the model is told of a protein's motion.
#pragma once

#include <torch/torch.h>

namespace mdgen::data {

struct Features {
  at::Tensor trans;         // (T, L, 3) Å
  at::Tensor rots;          // (T, L, 3, 3)
  at::Tensor torsions;      // (T, L, 7, 2)
  at::Tensor torsion_mask;  // (L, 7)
};

// atom14 (T, n, 14, 3) float32, aatype (n) int64. The first `context` residues (0 or 1) are there only to
// give their successor its pre-omega and phi: the result starts after them.
Features make_features(const at::Tensor& atom14, const at::Tensor& aatype, std::int64_t context);

}  // namespace mdgen::data
