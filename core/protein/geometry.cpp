#include "core/protein/geometry.h"

#include "core/protein/residue_constants.h"
#include "core/protein/tables.h"

namespace mdgen::protein {
namespace {

// Moves atoms (*, N, 3) to the places that `from` (*, M) names, zero where `mask` (*, M) is: (*, M, 3).
at::Tensor rearrange(const at::Tensor& atoms, const at::Tensor& from, const at::Tensor& mask) {
  return atoms.gather(-2, from.unsqueeze(-1).expand({-1, -1, -1, 3})) * mask.unsqueeze(-1);
}

at::Tensor per_frame(const at::Tensor& aatype, const at::Tensor& atoms) {
  return aatype.expand(atoms.sizes().slice(0, static_cast<std::size_t>(atoms.dim()) - 2));
}

Rigid select(const Rigid& r, std::int64_t dim, std::int64_t index) {
  return {r.rots.select(dim - 2, index), r.trans.select(dim - 1, index)};
}

// Rotations about x by (sin, cos) (*, 2): (*, 3, 3).
at::Tensor rotation_about_x(const at::Tensor& sin_cos) {
  const at::Tensor sin = sin_cos.select(-1, 0);
  const at::Tensor cos = sin_cos.select(-1, 1);
  const at::Tensor one = at::ones_like(sin);
  const at::Tensor zero = at::zeros_like(sin);
  return at::stack({one, zero, zero, zero, cos, -sin, zero, sin, cos}, -1).unflatten(-1, {3, 3});
}

// The eight rigid groups' frames in the backbone's frame: (*, 8).
Rigid group_frames(const at::Tensor& torsions, const at::Tensor& aatype) {
  const at::Tensor defaults = rows_by_type(rigid_group_default_frame(), aatype, torsions.scalar_type())
                                  .unflatten(-1, {4, 4})
                                  .narrow(-2, 0, 3);
  const at::Tensor still = torch::tensor({0.0, 1.0}, torsions.options());
  const at::Tensor sin_cos = at::cat({still.expand_as(torsions.narrow(-2, 0, 1)), torsions}, -2);
  const Rigid to_parent = compose(Rigid{defaults.narrow(-1, 0, 3), defaults.select(-1, 3)},
                                  Rigid{rotation_about_x(sin_cos), at::zeros_like(defaults.select(-1, 3))});
  const auto group = [&](std::int64_t i) { return select(to_parent, -1, i); };
  const Rigid chi2 = compose(group(4), group(5));
  const Rigid chi3 = compose(chi2, group(6));
  const Rigid chi4 = compose(chi3, group(7));
  return {
      at::cat({to_parent.rots.narrow(-3, 0, 5), at::stack({chi2.rots, chi3.rots, chi4.rots}, -3)}, -3),
      at::cat({to_parent.trans.narrow(-2, 0, 5), at::stack({chi2.trans, chi3.trans, chi4.trans}, -2)}, -2)};
}

// Group frames (*, 8) -> the frame of each atom (*, 14).
Rigid by_atom(const Rigid& groups, const at::Tensor& atom_group) {
  std::vector<std::int64_t> sizes = atom_group.sizes().vec();
  sizes.push_back(3);
  const at::Tensor index = atom_group.unsqueeze(-1).expand(sizes);
  sizes.push_back(3);
  return {groups.rots.gather(-3, index.unsqueeze(-1).expand(sizes)), groups.trans.gather(-2, index)};
}

}  // namespace

at::Tensor atom14_to_atom37(const at::Tensor& atom14, const at::Tensor& aatype) {
  const at::Tensor types = per_frame(aatype, atom14);
  return rearrange(atom14, rows_by_type(atom37_to_atom14(), types),
                   rows_by_type(atom37_mask(), types, atom14.scalar_type()));
}

at::Tensor atom37_to_atom14(const at::Tensor& atom37, const at::Tensor& aatype) {
  const at::Tensor types = per_frame(aatype, atom37);
  return rearrange(atom37, rows_by_type(atom14_to_atom37(), types),
                   rows_by_type(atom14_mask(), types, atom37.scalar_type()));
}

at::Tensor frames_torsions_to_atom14(const Rigid& frames, const at::Tensor& torsions,
                                     const at::Tensor& aatype) {
  const at::Tensor types =
      aatype.expand(torsions.sizes().slice(0, static_cast<std::size_t>(torsions.dim()) - 2));
  const Rigid groups = group_frames(torsions, types);
  const at::ScalarType dtype = torsions.scalar_type();
  const at::Tensor ideal = rows_by_type(atom14_rigid_group_positions(), types, dtype);
  const at::Tensor local = apply(by_atom(groups, rows_by_type(atom14_rigid_group(), types)), ideal);
  const Rigid backbone = {frames.rots.unsqueeze(-3), frames.trans.unsqueeze(-2)};
  return apply(backbone, local) * rows_by_type(atom14_mask(), types, dtype).unsqueeze(-1);
}

}  // namespace mdgen::protein
