#include "core/protein/geometry.h"
#include "core/protein/residue_constants.h"
#include "core/protein/tables.h"

namespace mdgen::protein {
namespace {

constexpr double kEps = 1e-8;  // as the reference's

// Positions in atom37.
constexpr std::int64_t kN = 0;
constexpr std::int64_t kCA = 1;
constexpr std::int64_t kC = 2;
constexpr std::int64_t kO = 4;

// The previous residue's values along dimension `dim` (from the end), zero for the first residue.
at::Tensor previous(const at::Tensor& values, std::int64_t dim) {
  const std::int64_t length = values.size(dim);
  return at::cat({at::zeros_like(values.narrow(dim, 0, 1)), values.narrow(dim, 0, length - 1)}, dim);
}

// The four atoms of each of the seven angles, picked from `own` and `before`, this and the previous residue's
// atom37 values (T, L, 37, C): (T, L, 7, 4, C).
at::Tensor four_atoms(const at::Tensor& own, const at::Tensor& before, const at::Tensor& chi_atoms) {
  const auto at_own = [&](std::int64_t atom) { return own.select(-2, atom); };
  const auto at_before = [&](std::int64_t atom) { return before.select(-2, atom); };
  const at::Tensor backbone = at::stack({at_before(kCA), at_before(kC), at_own(kN), at_own(kCA),  // pre-omega
                                         at_before(kC), at_own(kN), at_own(kCA), at_own(kC),      // phi
                                         at_own(kN), at_own(kCA), at_own(kC), at_own(kO)},        // psi
                                        -2)
                                  .unflatten(-2, {3, 4});
  const at::Tensor index = chi_atoms.flatten(-2).unsqueeze(-1);
  const at::Tensor chi = own.gather(-2, index.expand({-1, -1, -1, own.size(-1)})).unflatten(-2, {4, 4});
  return at::cat({backbone, chi}, -3);
}

}  // namespace

Torsions atom37_to_torsions(const at::Tensor& atom37, const at::Tensor& aatype) {
  const at::Tensor types = aatype.expand({atom37.size(0), atom37.size(1)});
  const at::Tensor chi_atoms = rows_by_type(chi_atom_indices(), types);

  const at::Tensor atoms = four_atoms(atom37, previous(atom37, -3), chi_atoms);
  const Rigid axis = rigid_from_3_points(atoms.select(-2, 1), atoms.select(-2, 2), atoms.select(-2, 0), kEps);
  const at::Tensor fourth = invert_apply(axis, atoms.select(-2, 3));
  const at::Tensor sin_cos = at::stack({fourth.select(-1, 2), fourth.select(-1, 1)}, -1);
  const at::Tensor norm = (sin_cos.square().sum(-1, /*keepdim=*/true) + kEps).sqrt();
  // psi is measured to O, half a turn from the next N.
  const at::Tensor sign =
      torch::tensor({1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0}, sin_cos.options()).unsqueeze(-1);

  return {sin_cos / norm * sign,
          torsion_mask(rows_by_type(atom37_mask(), types, atom37.scalar_type()), types)};
}

at::Tensor torsion_mask(const at::Tensor& atoms, const at::Tensor& aatype) {
  const at::Tensor types = aatype.expand({atoms.size(0), atoms.size(1)});
  const at::Tensor present = atoms.unsqueeze(-1);
  const at::Tensor all_four =
      four_atoms(present, previous(present, -3), rows_by_type(chi_atom_indices(), types))
          .squeeze(-1)
          .prod(-1);
  const at::Tensor has_chi = rows_by_type(chi_mask(), types, atoms.scalar_type());
  return all_four * at::cat({at::ones_like(all_four.narrow(-1, 0, 3)), has_chi}, -1);
}

}  // namespace mdgen::protein
