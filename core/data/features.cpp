#include "core/data/features.h"

#include "core/protein/geometry.h"
#include "core/protein/residue_constants.h"
#include "core/protein/tables.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kBackbone = 3;  // N, CA, C: the first of atom37, and known to be there

at::Tensor present_atoms(const at::Tensor& atom37) {
  at::Tensor present = atom37.ne(0).any(-1).all(0).to(atom37.scalar_type());
  present.narrow(-1, 0, kBackbone).fill_(1);
  return present;
}

void leave_out_absent(const at::Tensor& atom37, const at::Tensor& aatype, protein::Torsions& torsions) {
  const at::Tensor defined = protein::torsion_mask(present_atoms(atom37).unsqueeze(0), aatype);
  const at::Tensor absent = torsions.mask.narrow(0, 0, 1).gt(defined);
  torsions.angles.masked_fill_(absent.unsqueeze(-1), 0);
  torsions.mask = defined;
}

}  // namespace

Features make_features(const at::Tensor& atom14, const at::Tensor& aatype, std::int64_t context,
                       AtomMasks masks) {
  const std::int64_t residues = atom14.size(1) - context;
  const protein::Rigid frames = protein::atom14_to_frames(atom14.narrow(1, context, residues));
  const at::Tensor atom37 = protein::atom14_to_atom37(atom14, aatype);
  protein::Torsions torsions = protein::atom37_to_torsions(atom37, aatype);
  if (masks == AtomMasks::kPresent) leave_out_absent(atom37, aatype, torsions);
  return {.trans = frames.trans,
          .rots = frames.rots,
          .torsions = torsions.angles.narrow(1, context, residues),
          .torsion_mask = torsions.mask.select(0, 0).narrow(0, context, residues)};
}

Atoms make_atoms(const at::Tensor& atom14, const at::Tensor& aatype, AtomMasks masks) {
  const at::Tensor atom37 = protein::atom14_to_atom37(atom14, aatype);
  return {atom37, masks == AtomMasks::kPresent ? present_atoms(atom37)
                                               : protein::rows_by_type(protein::atom37_mask(), aatype)};
}

}  // namespace mdgen::data
