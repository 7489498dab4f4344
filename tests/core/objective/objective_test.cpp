#include "core/objective/objective.h"

#include <gtest/gtest.h>

#include "core/protein/rigid.h"

namespace mdgen::objective {
namespace {

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kFrames = 4;
constexpr std::int64_t kLength = 3;

at::Tensor random_rotations() {
  const auto [q, r] = at::linalg_qr(at::randn({kBatch, kFrames, kLength, 3, 3}));
  return q * at::linalg_det(q).unsqueeze(-1).unsqueeze(-1);
}

data::Batch batch() {
  at::manual_seed(9);
  data::Batch batch;
  batch.trans = 10 * at::randn({kBatch, kFrames, kLength, 3});
  batch.rots = random_rotations();
  batch.torsions = at::randn({kBatch, kFrames, kLength, 7, 2});
  batch.torsion_mask = (at::rand({kBatch, kLength, 7}) > 0.4).to(at::kFloat);
  batch.seqres = at::randint(0, 20, {kBatch, kLength});
  batch.mask = at::ones({kBatch, kLength});
  batch.mask[1][2] = 0;
  return batch;
}

v1::ModelSpec sim_spec() {
  v1::ModelSpec spec;
  spec.set_sim_condition(true);
  return spec;
}

TEST(PrepareTest, LatentsAreOffsetsFromTheFirstFrameAndTorsions) {
  const data::Batch in = batch();
  const Prepared out = prepare(in, sim_spec());
  ASSERT_EQ(out.latents.sizes(), at::IntArrayRef({kBatch, kFrames, kLength, 21}));
  EXPECT_EQ(latent_channels(sim_spec()), 21);

  const at::Tensor identity = at::tensor({1.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F});
  EXPECT_TRUE(at::allclose(out.latents.select(1, 0).slice(-1, 0, 7), identity.expand({kBatch, kLength, 7}),
                           1e-5, 1e-5));
  EXPECT_GE(out.latents.select(-1, 0).min().item<float>(), 0);
  const at::Tensor gap = in.trans[1][3][2] - in.trans[1][0][2];
  EXPECT_TRUE(
      at::allclose(out.latents[1][3][2].slice(0, 4, 7), at::mv(in.rots[1][0][2].t(), gap), 1e-4, 1e-4));
  EXPECT_TRUE(at::equal(out.latents[0][2][1].slice(0, 7), in.torsions[0][2][1].flatten()));
}

TEST(PrepareTest, TheLossLeavesPaddingAndAbsentTorsionsOut) {
  const data::Batch in = batch();
  const at::Tensor mask = prepare(in, sim_spec()).loss_mask;
  ASSERT_EQ(mask.sizes(), at::IntArrayRef({kBatch, kFrames, kLength, 21}));
  EXPECT_EQ(mask[1][0][2].slice(0, 0, 7).sum().item<float>(), 0);
  EXPECT_EQ(mask[0].slice(-1, 0, 7).min().item<float>(), 1);  // the given frame stays in
  for (int torsion = 0; torsion < 7; ++torsion) {
    const float present = in.torsion_mask[0][1][torsion].item<float>();
    EXPECT_EQ(mask[0][3][1][7 + 2 * torsion].item<float>(), present);
    EXPECT_EQ(mask[0][3][1][8 + 2 * torsion].item<float>(), present);
  }
}

TEST(PrepareTest, ForwardSimulationIsGivenTheFirstFrame) {
  const data::Batch in = batch();
  const Prepared out = prepare(in, sim_spec());
  const model::Conditioning& given = out.conditioning;
  EXPECT_EQ(given.x_cond_mask.select(1, 0).min().item<std::int64_t>(), 1);
  EXPECT_EQ(given.x_cond_mask.slice(1, 1).max().item<std::int64_t>(), 0);
  EXPECT_TRUE(at::equal(given.x_cond.select(1, 0), out.latents.select(1, 0)));
  EXPECT_EQ(given.x_cond.slice(1, 1).abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(given.start_frames.rots, in.rots.select(1, 0)));
  EXPECT_TRUE(at::equal(given.end_frames.trans, in.trans.select(1, kFrames - 1)));
  EXPECT_TRUE(at::equal(given.mask.select(1, 2), in.mask));
  EXPECT_TRUE(at::equal(given.aatype, in.seqres));
}

TEST(PrepareTest, UnconditionalIsGivenNothing) {
  const Prepared out = prepare(batch(), v1::ModelSpec());
  EXPECT_EQ(out.conditioning.x_cond_mask.max().item<std::int64_t>(), 0);
  EXPECT_EQ(out.conditioning.x_cond.abs().max().item<float>(), 0);
}

TEST(TrainingLossesTest, AFreshModelsLossIsThePlainMaskedMean) {
  model::ModelConfig config;
  config.embed_dim = 16;
  config.num_layers = 1;
  config.mha_heads = 2;
  config.prepend_ipa = config.sim_condition = true;
  model::LatentModel model(config);
  model->initialize(1);
  const Prepared prepared = prepare(batch(), sim_spec());
  const transport::Transport transport(transport::PathType::kLinear, transport::Prediction::kVelocity);
  const at::Tensor x0 = at::randn_like(prepared.latents);
  const at::Tensor t = at::tensor({0.25F, 0.75F});
  const transport::Losses losses = training_losses(model, transport, prepared, t, x0);
  EXPECT_EQ(losses.output.abs().max().item<float>(), 0);
  const at::Tensor target = (prepared.latents - x0).square();
  const at::Tensor mask = prepared.loss_mask;
  for (int sample = 0; sample < kBatch; ++sample) {
    const float expected = ((target[sample] * mask[sample]).sum() / mask[sample].sum()).item<float>();
    EXPECT_NEAR(losses.per_sample[sample].item<float>(), expected, 1e-4F * expected);
  }
  losses.per_sample.mean().backward();
  EXPECT_GT(model->named_parameters()["emb_to_latent.linear.bias"].grad().abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace mdgen::objective
