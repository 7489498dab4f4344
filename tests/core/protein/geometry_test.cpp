#include "core/protein/geometry.h"

#include "core/protein/residue_constants.h"
#include "golden_tensors.h"

namespace mdgen::protein {
namespace {

TEST(Geometry, FramesEqualTheReference) {
  const Rigid frames = atom14_to_frames(golden("atom14"));
  EXPECT_LT(relative_difference(frames.rots, golden("frames.rots")), kTolerance);
  EXPECT_TRUE(at::equal(frames.trans, golden("frames.trans")));
}

TEST(Geometry, Atom37EqualsTheReferenceAndReturns) {
  const at::Tensor atom37 = atom14_to_atom37(golden("atom14"), golden("seqres"));
  EXPECT_TRUE(at::equal(atom37, golden("atom37")));
  EXPECT_TRUE(at::equal(atom37_to_atom14(atom37, golden("seqres")), golden("atom14")));
}

TEST(Geometry, TorsionsEqualTheReferenceWhereDefined) {
  const Torsions found = atom37_to_torsions(golden("atom37"), golden("seqres"));
  const at::Tensor mask = golden("torsion_mask");
  EXPECT_TRUE(at::equal(found.mask, mask));
  EXPECT_LT(relative_difference(found.angles * mask.unsqueeze(-1), golden("torsions") * mask.unsqueeze(-1)),
            kTolerance);
  EXPECT_TRUE(found.angles.isfinite().all().item<bool>());
}

TEST(Geometry, RebuiltAtomsEqualTheReference) {
  const Rigid frames = {golden("frames.rots"), golden("frames.trans")};
  const at::Tensor atoms = frames_torsions_to_atom14(frames, golden("torsions"), golden("seqres"));
  EXPECT_LT(relative_difference(atoms, golden("rebuilt_atom14")), kTolerance);
}

TEST(Geometry, SequencePerFrameIsTheSameAsOneForAll) {
  const at::Tensor per_frame = golden("seqres").expand({3, -1});
  EXPECT_TRUE(at::equal(atom14_to_atom37(golden("atom14"), per_frame), golden("atom37")));
  EXPECT_TRUE(at::equal(atom37_to_torsions(golden("atom37"), per_frame).mask, golden("torsion_mask")));
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
  const Torsions found = atom37_to_torsions(atom14_to_atom37(atoms, sequence), sequence);
  for (std::int64_t k = 2; k < kTorsions; ++k) {
    const at::Tensor mask = found.mask.select(-1, k).unsqueeze(-1);
    const at::Tensor difference = (found.angles.select(-2, k) - torsions.select(-2, k)) * mask;
    EXPECT_GT(mask.sum().item<double>(), 0);
    EXPECT_LT(difference.abs().max().item<double>(), 3e-3) << "torsion " << k;
  }
}

TEST(Geometry, GradientsOfRebuiltAtomsAreFinite) {
  at::Tensor torsions = golden("torsions").requires_grad_(true);
  at::Tensor rots = golden("frames.rots").requires_grad_(true);
  const at::Tensor atoms =
      frames_torsions_to_atom14({rots, golden("frames.trans")}, torsions, golden("seqres"));
  const Torsions again = atom37_to_torsions(atom14_to_atom37(atoms, golden("seqres")), golden("seqres"));
  (atoms.square().sum() + again.angles.sum()).backward();
  EXPECT_TRUE(torsions.grad().isfinite().all().item<bool>());
  EXPECT_TRUE(rots.grad().isfinite().all().item<bool>());
}

TEST(Geometry, UnknownResiduesHaveNoAtoms) {
  const at::Tensor unknown = at::full({20}, kResidueTypes, at::kLong);
  EXPECT_EQ(atom14_to_atom37(golden("atom14"), unknown).abs().sum().item<double>(), 0);
  EXPECT_EQ(atom37_to_torsions(golden("atom37"), unknown).mask.sum().item<double>(), 0);
}

}  // namespace
}  // namespace mdgen::protein
