#include "core/sample/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/objective/objective.h"
#include "core/protein/geometry.h"
#include "core/sample/rebuild.h"
#include "sample_fixture.h"

namespace mdgen::sample {
namespace {

using testing::HasSubstr;

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Sampler, ForwardSimulation_GivesAllThatItPromises) {
  const v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = small_batch(2, 5);
  const Sampled out = sample(model, spec, batch);
  EXPECT_EQ(out.latents.sizes(), at::IntArrayRef({2, 3, 5, 21}));
  EXPECT_EQ(out.atom14.sizes(), at::IntArrayRef({2, 3, 5, 14, 3}));
  EXPECT_EQ(out.aatype.sizes(), at::IntArrayRef({2, 3, 5}));
  EXPECT_TRUE(at::equal(out.aatype.select(1, 2), batch.seqres));
  EXPECT_TRUE(at::equal(out.sequence, batch.seqres));
  EXPECT_TRUE(out.atom14.isfinite().all().item<bool>());
  EXPECT_FALSE(out.latents.requires_grad());
  ASSERT_EQ(out.accepted.size(), 2U);
  EXPECT_GT(out.accepted[1], 0);
  EXPECT_EQ(out.evaluations,
            2 + 6 * std::max(out.accepted[0] + out.rejected[0], out.accepted[1] + out.rejected[1]));
}

// The tolerance is what float32 leaves of the steps: they follow the rounding of a small error, and batched
// matrix products round by their shape.
TEST(Sampler, SampleNorm_BatchMatesDoNotMatter) {
  const v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  data::Batch batch = small_batch(3, 5);
  batch.mask[1].slice(0, 3).fill_(0);
  batch.noise[2] *= 5;
  const Sampled together = sample(model, spec, batch);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Sampled apart = sample(model, spec, alone(batch, i));
    EXPECT_EQ(apart.accepted[0], together.accepted[static_cast<std::size_t>(i)]);
    const double size = apart.latents.abs().max().item<double>();
    EXPECT_LT(largest_difference(together.latents[i], apart.latents[0]), 1e-5 * size) << i;
  }
}

TEST(Sampler, BatchNorm_BatchMatesMatter) {
  v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  data::Batch batch = small_batch(2, 5);
  batch.noise[1] *= 5;
  const at::Tensor own = sample(model, spec, batch).latents;
  spec.mutable_transport()->set_ode_error_norm("batch");
  const at::Tensor shared = sample(model, spec, batch).latents;
  EXPECT_GT(largest_difference(own, shared), 1e-4);
  EXPECT_GT(largest_difference(shared[0], sample(model, spec, alone(batch, 0)).latents[0]), 1e-4);

  spec.mutable_transport()->set_ode_error_norm("sample");
  spec.set_reference_compat(true);
  EXPECT_TRUE(at::equal(shared, sample(model, spec, batch).latents));
}

TEST(Sampler, TighterTolerances_TakeMoreSteps) {
  v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = small_batch(1, 5);
  const Sampled loose = sample(model, spec, batch);
  spec.mutable_transport()->set_ode_rtol(1e-5);
  spec.mutable_transport()->set_ode_atol(1e-7);
  const Sampled tight = sample(model, spec, batch);
  EXPECT_GT(tight.accepted[0], loose.accepted[0]);
  EXPECT_LT(largest_difference(tight.latents, loose.latents), 1e-2);
}

TEST(Sampler, AbsoluteTolerance_CountsNearZero) {
  v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = small_batch(1, 5);
  const Sampled tight = sample(model, spec, batch);
  spec.mutable_transport()->set_ode_atol(1e-1);
  EXPECT_LT(sample(model, spec, batch).accepted[0], tight.accepted[0]);
}

TEST(Sampler, Euler_TakesOdeSteps) {
  v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = small_batch(2, 5);
  const at::Tensor exact = sample(model, spec, batch).latents;
  spec.mutable_transport()->set_sampling_method("euler");
  const Sampled usual = sample(model, spec, batch);
  EXPECT_EQ(usual.evaluations, 49);
  spec.mutable_transport()->set_ode_steps(490);
  const Sampled fine = sample(model, spec, batch);
  EXPECT_EQ(fine.evaluations, 490);
  EXPECT_LT(largest_difference(fine.latents, exact), largest_difference(usual.latents, exact));
}

TEST(Sampler, EveryPathAndPrediction_ArrivesAtFiniteAtoms) {
  v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = small_batch(2, 5);
  spec.mutable_transport()->set_ode_rtol(1e-1);
  spec.mutable_transport()->set_ode_atol(1e-2);
  for (const char* path : {"Linear", "GVP", "VP"}) {
    for (const char* prediction : {"velocity", "score", "noise"}) {
      spec.mutable_transport()->set_path_type(path);
      spec.mutable_transport()->set_prediction(prediction);
      const Sampled out = sample(model, spec, batch);
      EXPECT_TRUE(out.atom14.isfinite().all().item<bool>()) << path << prediction;
    }
  }
}

// Forward simulation with the sequence hidden at residues 1 and 2.
v1::JobSpec design_spec() {
  v1::JobSpec spec = small_spec();
  spec.mutable_model()->set_design(true);
  spec.mutable_transport()->set_sampling_method("euler");
  spec.mutable_transport()->set_ode_steps(10);
  return spec;
}

data::Batch design_batch() {
  data::Batch batch = small_batch(2, 4);
  batch.simplex = at::softmax(at::randn({2, 4, 20}), -1);
  return batch;
}

TEST(Sampler, Design_BuildsAtomsOfTheGeneratedSequence) {
  v1::JobSpec spec = design_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = design_batch();
  const Sampled out = sample(model, spec, batch);
  EXPECT_EQ(out.latents.sizes(), at::IntArrayRef({2, 3, 4, 41}));
  EXPECT_TRUE(at::equal(out.aatype, out.latents.narrow(-1, 21, 20).argmax(-1)));
  const at::Tensor given = at::tensor({std::int64_t{0}, std::int64_t{3}});
  EXPECT_TRUE(at::equal(out.sequence.index_select(1, given), batch.seqres.index_select(1, given)));
  EXPECT_FALSE(at::equal(out.sequence, batch.seqres));
  const protein::Rigid first = {batch.rots.narrow(1, 0, 1), batch.trans.narrow(1, 0, 1)};
  EXPECT_TRUE(at::equal(out.atom14, rebuild_atom14(out.latents, first, out.sequence, spec.model())));

  spec.set_reference_compat(true);
  const Sampled as_reference = sample(model, spec, batch);
  EXPECT_TRUE(at::equal(as_reference.atom14,
                        rebuild_atom14(as_reference.latents, first, batch.seqres, spec.model())));
}

TEST(Sampler, DirichletFlowTemperature_MovesTheSequence) {
  v1::JobSpec spec = design_spec();
  model::LatentModel model = open_model(spec);
  const data::Batch batch = design_batch();
  const at::Tensor warm = sample(model, spec, batch).latents;
  spec.mutable_transport()->set_dirichlet_flow_temp(0.2);
  const at::Tensor cold = sample(model, spec, batch).latents;
  EXPECT_GT(largest_difference(warm.narrow(-1, 21, 20), cold.narrow(-1, 21, 20)), 1e-4);
}

// The reference's table has no finite value for a corner of the simplex.
TEST(Sampler, AllowNanCfactor_LetsACornerOfTheSimplexPass) {
  v1::JobSpec spec = design_spec();
  spec.set_reference_compat(true);
  model::LatentModel model = open_model(spec);
  data::Batch batch = design_batch();
  batch.simplex = at::one_hot(batch.seqres, 20).to(at::kFloat) * 0.9999 + 0.0001 / 20;
  EXPECT_THROW(sample(model, spec, batch), Error);
  spec.mutable_transport()->set_allow_nan_cfactor(true);
  EXPECT_TRUE(sample(model, spec, batch).latents.isfinite().all().item<bool>());
}

TEST(Sampler, Dopri5UnderDesign_PassesTheEnd) {
  v1::JobSpec spec = design_spec();
  spec.mutable_transport()->set_sampling_method("dopri5");
  spec.mutable_transport()->set_ode_rtol(1e-1);
  spec.mutable_transport()->set_ode_atol(1e-2);
  model::LatentModel model = open_model(spec);
  EXPECT_TRUE(sample(model, spec, design_batch()).atom14.isfinite().all().item<bool>());
}

TEST(Sampler, Mpnn_AsksOnceAndKeepsTheStructure) {
  v1::JobSpec spec = design_spec();
  spec.mutable_model()->set_sim_condition(false);
  spec.mutable_model()->set_mpnn(true);
  model::LatentModel model = open_model(spec);
  data::Batch batch = design_batch();
  batch.noise = at::Tensor();
  const Sampled out = sample(model, spec, batch);
  EXPECT_EQ(out.evaluations, 1);
  EXPECT_FALSE(out.latents.defined());
  EXPECT_EQ(out.aatype.sizes(), at::IntArrayRef({2, 1, 4}));
  const at::Tensor types = batch.seqres.unsqueeze(1).expand({-1, 3, -1});
  EXPECT_TRUE(at::equal(
      out.atom14, protein::frames_torsions_to_atom14({batch.rots, batch.trans}, batch.torsions, types)));
}

TEST(Sampler, NoiseOfAnotherShape_IsRefused) {
  const v1::JobSpec spec = small_spec();
  model::LatentModel model = open_model(spec);
  try {
    sample(model, spec, small_batch(1, 5, 28));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("[1, 3, 5, 21], not [1, 3, 5, 28]"));
  }
}

TEST(Rebuild, TrueLatents_GiveTheTrueAtoms) {
  const v1::JobSpec spec = small_spec();
  const data::Batch batch = small_batch(2, 5);
  const at::Tensor latents = objective::prepare(batch, spec).latents;
  const protein::Rigid first = {batch.rots.narrow(1, 0, 1), batch.trans.narrow(1, 0, 1)};
  const at::Tensor expected = protein::frames_torsions_to_atom14(
      {batch.rots, batch.trans}, batch.torsions, batch.seqres.unsqueeze(1).expand({-1, 3, -1}));
  EXPECT_LT(largest_difference(rebuild_atom14(latents, first, batch.seqres, spec.model()), expected), 1e-4);
  EXPECT_LT(largest_difference(rebuild_atom14(7 * latents, first, batch.seqres, spec.model())
                                   .select(1, 0)  // offsets of frame 0 are all rotation
                                   .select(-2, 1),
                               batch.trans.select(1, 0)),
            1e-4);
}

TEST(Rebuild, LatentsOfEachMode_AreReadWhereTheyLie) {
  const v1::JobSpec spec = small_spec();
  const data::Batch batch = small_batch(2, 5);
  const at::Tensor latents = objective::prepare(batch, spec).latents;
  const protein::Rigid first = {batch.rots.narrow(1, 0, 1), batch.trans.narrow(1, 0, 1)};
  const at::Tensor expected = rebuild_atom14(latents, first, batch.seqres, spec.model());

  v1::ModelSpec tps = spec.model();
  tps.set_tps_condition(true);
  const at::Tensor two_offsets =
      at::cat({latents.narrow(-1, 0, 7), at::full({2, 3, 5, 7}, 9.0), latents.narrow(-1, 7, 14)}, -1);
  EXPECT_TRUE(at::equal(rebuild_atom14(two_offsets, first, batch.seqres, tps), expected));

  v1::ModelSpec absolute = spec.model();
  absolute.set_no_offsets(true);
  const at::Tensor frames =
      at::cat({protein::to_tensor_7({batch.rots, batch.trans}), latents.narrow(-1, 7, 14)}, -1);
  EXPECT_LT(largest_difference(rebuild_atom14(frames, first, batch.seqres, absolute), expected), 1e-4);

  v1::ModelSpec atoms = spec.model();
  atoms.set_no_frames(true);
  const at::Tensor types = batch.seqres.unsqueeze(1).expand({-1, 3, -1}).flatten(0, 1);
  const at::Tensor atom37 = protein::atom14_to_atom37(expected.flatten(0, 1), types);
  EXPECT_TRUE(at::equal(rebuild_atom14(atom37.flatten(-2).unflatten(0, {2, 3}), first, batch.seqres, atoms),
                        expected));
}

TEST(Rebuild, ZeroTorsion_IsAngleZeroNotNaN) {
  const at::Tensor channels = at::tensor({0.0F, 0.0F, 3.0F, 4.0F}).repeat({4}).narrow(0, 0, 14);
  v1::ModelSpec spec;
  const at::Tensor unit = torsions_of(channels, spec);
  EXPECT_TRUE(at::equal(unit[0], at::tensor({0.0F, 1.0F})));
  EXPECT_TRUE(at::allclose(unit[1], at::tensor({0.6F, 0.8F})));
  spec.set_oracle(true);
  EXPECT_TRUE(at::equal(torsions_of(channels, spec).flatten(), channels));
}

TEST(Rebuild, ZeroQuaternion_IsNoRotation) {
  const at::Tensor tensor_7 = at::tensor({0.0F, 0.0F, 0.0F, 0.0F, 1.0F, 2.0F, 3.0F});
  EXPECT_TRUE(at::equal(protein::from_tensor_7(tensor_7).rots, at::eye(3)));
}

}  // namespace
}  // namespace mdgen::sample
