#include "core/protein/geometry.h"

#include "core/protein/local_geometry.h"
#include "core/protein/residue_constants.h"
#include "core/protein/tables.h"
#include "golden_tensors.h"

namespace mdgen::protein {
namespace {

// Of one protein, (T, L, …).
LocalGeometry local(const at::Tensor& atom14, const at::Tensor& types) {
  const LocalGeometry batch = local_geometry(with_predecessor(atom14.unsqueeze(0), 2), types.unsqueeze(0));
  return {{batch.frames.rots[0], batch.frames.trans[0]}, batch.torsions[0]};
}

at::Tensor mask_of(const at::Tensor& types) {
  return defined_torsions(with_predecessor(rows_by_type(atom14_mask(), types.unsqueeze(0)), 1),
                          types.unsqueeze(0))[0];
}

TEST(Geometry, FramesEqualTheReference) {
  const Rigid frames = local(golden("atom14"), golden("seqres")).frames;
  EXPECT_LT(relative_difference(frames.rots, golden("frames.rots")), kTolerance);
  EXPECT_TRUE(at::equal(frames.trans, golden("frames.trans")));
}

TEST(Geometry, Atom37EqualsTheReferenceAndReturns) {
  const at::Tensor atom37 = atom14_to_atom37(golden("atom14"), golden("seqres"));
  EXPECT_TRUE(at::equal(atom37, golden("atom37")));
  EXPECT_TRUE(at::equal(atom37_to_atom14(atom37, golden("seqres")), golden("atom14")));
}

TEST(Geometry, TorsionsEqualTheReferenceWhereDefined) {
  const at::Tensor found = local(golden("atom14"), golden("seqres")).torsions;
  const at::Tensor mask = golden("torsion_mask");
  EXPECT_TRUE(at::equal(mask_of(golden("seqres")).expand_as(mask), mask));
  EXPECT_LT(relative_difference(found * mask.unsqueeze(-1), golden("torsions") * mask.unsqueeze(-1)),
            kTolerance);
  EXPECT_TRUE(found.isfinite().all().item<bool>());
}

// The part of a protein behind its first residues, with the one before it, has the whole protein's geometry;
// and each protein of a batch its own.
TEST(Geometry, PredecessorAndBatchLeaveTheRestAlone) {
  const at::Tensor types = golden("seqres");
  const at::Tensor atoms = golden("atom14");
  const LocalGeometry whole = local(atoms, types);
  const at::Tensor other = atoms.flip(1);
  const LocalGeometry batch =
      local_geometry(at::stack({atoms.narrow(1, 4, 10), other.narrow(1, 6, 10)}),
                     at::stack({types.narrow(0, 5, 9), types.flip(0).narrow(0, 7, 9)}));
  EXPECT_TRUE(at::equal(batch.torsions[0], whole.torsions.narrow(1, 5, 9)));
  EXPECT_TRUE(at::equal(batch.frames.rots[0], whole.frames.rots.narrow(1, 5, 9)));
  EXPECT_TRUE(at::equal(batch.frames.trans[0], whole.frames.trans.narrow(1, 5, 9)));
  EXPECT_TRUE(at::equal(batch.torsions[1], local(other, types.flip(0)).torsions.narrow(1, 7, 9)));
  const at::Tensor half = atoms.to(at::kHalf);
  EXPECT_TRUE(at::equal(local(half, types).torsions, local(half.to(at::kFloat), types).torsions));
}

// Against the generic Gram-Schmidt, whose cross product may be fused.
TEST(Geometry, FramesOfManyResidues_AreThoseOfTheirThreePoints) {
  torch::manual_seed(7);
  const at::Tensor atoms = at::randn({3, 50, 41, 14, 3}) * 20;  // more than is done at a time
  const at::Tensor types = at::randint(0, kResidueTypes, {3, 40}, at::kLong);
  const LocalGeometry all = local_geometry(atoms, types);
  const at::Tensor own = atoms.narrow(2, 1, 40);
  const Rigid frames = rigid_from_3_points(own.select(-2, 2), own.select(-2, 1), own.select(-2, 0));
  const at::Tensor expected = frames.rots * at::tensor({-1.0F, 1.0F, -1.0F});
  EXPECT_LT((all.frames.rots - expected).abs().max().item<double>(), 3e-7);
  EXPECT_TRUE(at::equal(all.frames.trans, own.select(-2, 1)));
  const LocalGeometry last = local_geometry(atoms.narrow(0, 2, 1).narrow(1, 49, 1), types.narrow(0, 2, 1));
  EXPECT_TRUE(at::equal(all.torsions[2][49], last.torsions[0][0]));
}

TEST(Geometry, RebuiltAtomsEqualTheReference) {
  const Rigid frames = {golden("frames.rots"), golden("frames.trans")};
  const at::Tensor atoms = frames_torsions_to_atom14(frames, golden("torsions"), golden("seqres"));
  EXPECT_LT(relative_difference(atoms, golden("rebuilt_atom14")), kTolerance);
}

TEST(Geometry, SequencePerFrameIsTheSameAsOneForAll) {
  const at::Tensor per_frame = golden("seqres").expand({3, -1});
  EXPECT_TRUE(at::equal(atom14_to_atom37(golden("atom14"), per_frame), golden("atom37")));
}

// With a batch in front: frames (B, T, L), one sequence for each of the batch.
TEST(Geometry, RebuildsBatches) {
  const Rigid frames = {golden("frames.rots").expand({2, -1, -1, -1, -1}),
                        golden("frames.trans").expand({2, -1, -1, -1})};
  const at::Tensor torsions = golden("torsions").expand({2, -1, -1, -1, -1});
  const at::Tensor sequence = golden("seqres").expand({2, 1, -1});
  const at::Tensor atoms = frames_torsions_to_atom14(frames, torsions, sequence);
  EXPECT_LT(relative_difference(atoms[1], golden("rebuilt_atom14")), kTolerance);
}

// Chosen torsions come back from the atoms that they made: both directions agree, all seven angles.
TEST(Geometry, TorsionsSurviveTheRoundTrip) {
  torch::manual_seed(5);
  const at::Tensor sequence = at::arange(kResidueTypes);
  const at::Tensor angle = at::rand({4, kResidueTypes, kTorsions}) * 6.28;
  const at::Tensor torsions = at::stack({angle.sin(), angle.cos()}, -1);
  const Rigid frames = {at::eye(3).expand({4, kResidueTypes, 3, 3}), at::zeros({4, kResidueTypes, 3})};
  const at::Tensor atoms = frames_torsions_to_atom14(frames, torsions, sequence);
  const at::Tensor found = local(atoms, sequence).torsions;
  const at::Tensor defined = mask_of(sequence);
  for (std::int64_t k = 2; k < kTorsions; ++k) {
    const at::Tensor mask = defined.select(-1, k).unsqueeze(-1);
    const at::Tensor difference = (found.select(-2, k) - torsions.select(-2, k)) * mask;
    EXPECT_GT(mask.sum().item<double>(), 0);
    EXPECT_LT(difference.abs().max().item<double>(), 3e-3) << "torsion " << k;
  }
}

TEST(Geometry, GradientsOfRebuiltAtomsAreFinite) {
  at::Tensor torsions = golden("torsions").requires_grad_(true);
  at::Tensor rots = golden("frames.rots").requires_grad_(true);
  const at::Tensor atoms =
      frames_torsions_to_atom14({rots, golden("frames.trans")}, torsions, golden("seqres"));
  atoms.square().sum().backward();
  EXPECT_TRUE(torsions.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(rots.grad().isfinite().all().item<bool>());
}

TEST(Geometry, UnknownResiduesHaveNoAtoms) {
  const at::Tensor unknown = at::full({20}, kResidueTypes, at::kLong);
  EXPECT_EQ(atom14_to_atom37(golden("atom14"), unknown).abs().sum().item<double>(), 0);
  EXPECT_EQ(mask_of(unknown).sum().item<double>(), 0);
}

}  // namespace
}  // namespace mdgen::protein
