#include "core/data/features.h"

#include "core/protein/geometry.h"
#include "core/protein/local_geometry.h"
#include "core/protein/residue_constants.h"
#include "core/protein/tables.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kBackbone = 3;  // N, CA, C: the first of atom14 and atom37, and known to be there

// Atoms (B, T, R, A, 3) that are not all zeros in any frame: (B, R, A), 1 or 0.
at::Tensor seen_in_all_frames(const at::Tensor& atoms) {
  const at::Tensor nonzero = atoms.ne(0);
  const at::Tensor seen =
      nonzero.select(-1, 0).logical_or(nonzero.select(-1, 1)).logical_or_(nonzero.select(-1, 2));
  at::Tensor present = seen.all(1).to(at::kFloat);
  present.narrow(-1, 0, kBackbone).fill_(1);
  return present;
}

// Residues' values (B, L, A) behind the predecessor's, (B, 1 + L, A): its backbone is there or it is not.
at::Tensor behind_predecessor(const at::Tensor& values, const at::Tensor& predecessor) {
  return at::cat({predecessor.view({-1, 1, 1}).expand({-1, 1, values.size(-1)}), values}, 1);
}

// The angles of which the atoms are there: (B, L, 7).
at::Tensor torsion_mask(const at::Tensor& present, const Positions& positions) {
  return protein::defined_torsions(behind_predecessor(present, positions.predecessor), positions.types)
      .mul_(positions.mask.unsqueeze(-1));
}

// Values (B, L, …) for each frame.
at::Tensor per_frame(const at::Tensor& values) { return values.unsqueeze(1); }

}  // namespace

Positions whole_proteins(const at::Tensor& atom14, const at::Tensor& types) {
  const auto options = atom14.options().dtype(at::kFloat);
  return {.atoms = protein::with_predecessor(atom14, 2),
          .types = types,
          .mask = at::ones(types.sizes(), options),
          .predecessor = at::zeros({types.size(0)}, options),
          .padded = false};
}

Features make_features(const Positions& positions, AtomMasks masks) {
  protein::LocalGeometry local = protein::local_geometry(positions.atoms, positions.types);
  const at::Tensor by_sequence =
      torsion_mask(protein::rows_by_type(protein::atom14_mask(), positions.types), positions);
  Features features{.trans = std::move(local.frames.trans),
                    .rots = std::move(local.frames.rots),
                    .torsions = std::move(local.torsions),
                    .torsion_mask = by_sequence};
  if (masks == AtomMasks::kPresent) {
    const at::Tensor own = positions.atoms.narrow(2, 1, positions.types.size(1));
    features.torsion_mask = torsion_mask(seen_in_all_frames(own), positions);
    const at::Tensor absent = by_sequence.gt(features.torsion_mask);
    features.torsions.masked_fill_(per_frame(absent).unsqueeze(-1), 0);
  }
  if (positions.padded) {
    const at::Tensor padding = per_frame(positions.mask.eq(0)).unsqueeze(-1).unsqueeze(-1);
    features.torsions.masked_fill_(padding, 0);
    features.rots = at::where(padding, at::eye(3, features.rots.options()), features.rots);
  }
  return features;
}

Atoms make_atoms(const Positions& positions, AtomMasks masks) {
  const at::Tensor own = positions.atoms.narrow(2, 1, positions.types.size(1)).to(at::kFloat);
  const at::Tensor types = per_frame(positions.types).expand({-1, own.size(1), -1});
  const at::Tensor atom37 = protein::atom14_to_atom37(own.flatten(0, 1), types.flatten(0, 1))
                                .view({own.size(0), own.size(1), own.size(2), -1, 3});
  const at::Tensor mask = masks == AtomMasks::kPresent
                              ? seen_in_all_frames(atom37)
                              : protein::rows_by_type(protein::atom37_mask(), positions.types);
  return {.positions = atom37 * per_frame(positions.mask).unsqueeze(-1).unsqueeze(-1),
          .mask = mask * positions.mask.unsqueeze(-1)};
}

}  // namespace mdgen::data
