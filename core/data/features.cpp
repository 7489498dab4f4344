#include "core/data/features.h"

#include "core/protein/geometry.h"

namespace mdgen::data {

Features make_features(const at::Tensor& atom14, const at::Tensor& aatype, std::int64_t context) {
  const std::int64_t residues = atom14.size(1) - context;
  const protein::Rigid frames = protein::atom14_to_frames(atom14.narrow(1, context, residues));
  const protein::Torsions torsions =
      protein::atom37_to_torsions(protein::atom14_to_atom37(atom14, aatype), aatype);
  return {.trans = frames.trans,
          .rots = frames.rots,
          .torsions = torsions.angles.narrow(1, context, residues),
          .torsion_mask = torsions.mask.select(0, 0).narrow(0, context, residues)};
}

}  // namespace mdgen::data
