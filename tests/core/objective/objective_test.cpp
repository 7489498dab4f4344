#include "core/objective/objective.h"

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/model/latent_layout.h"
#include "core/protein/rigid.h"
#include "objective_fixture.h"

namespace mdgen::objective {
namespace {

using protein::Rigid;
using Set = std::function<void(v1::ModelSpec&)>;

Prepared prepare_with(const data::Batch& batch, const Set& set, bool compat = false) {
  v1::JobSpec spec = unconditional();
  set(*spec.mutable_model());
  spec.set_reference_compat(compat);
  return prepare(batch, spec);
}

Rigid frame(const data::Batch& batch, std::int64_t t) {
  return {batch.rots.narrow(1, t, 1), batch.trans.narrow(1, t, 1)};
}

at::Tensor offsets_from(const data::Batch& batch, std::int64_t t) {
  return protein::offsets(frame(batch, t), {batch.rots, batch.trans});
}

TEST(PrepareTest, LatentsAreOffsetsFromTheFirstFrameAndTorsions) {
  const data::Batch in = random_batch();
  const Prepared out = prepare(in, forward_simulation());
  ASSERT_EQ(out.latents.sizes(), at::IntArrayRef({kBatch, kFrames, 4, 21}));

  const at::Tensor identity = at::tensor({1.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F});
  EXPECT_TRUE(
      at::allclose(out.latents.select(1, 0).slice(-1, 0, 7), identity.expand({kBatch, 4, 7}), 1e-5, 1e-5));
  EXPECT_GE(out.latents.select(-1, 0).min().item<float>(), 0);
  const at::Tensor gap = in.trans[1][3][2] - in.trans[1][0][2];
  EXPECT_TRUE(
      at::allclose(out.latents[1][3][2].slice(0, 4, 7), at::mv(in.rots[1][0][2].t(), gap), 1e-4, 1e-4));
  EXPECT_TRUE(at::equal(out.latents[0][2][1].slice(0, 7), in.torsions[0][2][1].flatten()));
}

TEST(PrepareTest, TheLossLeavesPaddingAndAbsentTorsionsOut) {
  const data::Batch in = random_batch();
  const at::Tensor mask = prepare(in, forward_simulation()).loss_mask;
  ASSERT_EQ(mask.sizes(), at::IntArrayRef({kBatch, kFrames, 4, 21}));
  EXPECT_EQ(mask[1].select(1, 3).sum().item<float>(), 0);
  EXPECT_EQ(mask[0].slice(-1, 0, 7).min().item<float>(), 1);  // the given frame stays in
  for (int torsion = 0; torsion < 7; ++torsion) {
    const float present = in.torsion_mask[0][1][torsion].item<float>();
    EXPECT_EQ(mask[0][3][1][7 + 2 * torsion].item<float>(), present);
    EXPECT_EQ(mask[0][3][1][8 + 2 * torsion].item<float>(), present);
  }
}

TEST(PrepareTest, HandsOnWhatTheModelIsGiven) {
  data::Batch in = random_batch();
  in.dropout_key = at::tensor({5, 6}, at::kLong);
  in.first_residue = at::tensor({0, 40}, at::kLong);
  const Prepared out = prepare(in, forward_simulation());
  const model::Conditioning& given = out.conditioning;
  EXPECT_TRUE(at::equal(given.start_frames.rots, in.rots.select(1, 0)));
  EXPECT_TRUE(at::equal(given.end_frames.trans, in.trans.select(1, kFrames - 1)));
  EXPECT_TRUE(at::equal(given.mask.select(1, 2), in.mask));
  EXPECT_TRUE(at::equal(given.aatype, in.seqres));
  EXPECT_TRUE(at::equal(given.dropout_key, in.dropout_key));
  EXPECT_TRUE(at::equal(given.first_residue, in.first_residue));
  EXPECT_TRUE(at::equal(out.frames.trans, in.trans));
  EXPECT_FALSE(out.sequence.has_value());
}

// Which tokens each mode is given: T rows of L characters, 'x' where it is.
struct Mode {
  const char* name;
  Set set;
  std::vector<std::string> given;
};
void PrintTo(const Mode& mode, std::ostream* out) { *out << mode.name; }

class GivenTokensTest : public ::testing::TestWithParam<Mode> {};

TEST_P(GivenTokensTest, AreTheLatentsAndNoOthers) {
  const data::Batch in = random_batch();
  const Prepared out = prepare_with(in, GetParam().set);
  const model::Conditioning& given = out.conditioning;
  for (std::int64_t t = 0; t < kFrames; ++t) {
    for (std::int64_t l = 0; l < 4; ++l) {
      const bool expected = GetParam().given[static_cast<std::size_t>(t)][static_cast<std::size_t>(l)] == 'x';
      for (std::int64_t b = 0; b < kBatch; ++b) {
        EXPECT_EQ(given.x_cond_mask[b][t][l].item<std::int64_t>(), expected ? 1 : 0) << t << " " << l;
        const at::Tensor token = out.latents[b][t][l];
        EXPECT_TRUE(at::equal(given.x_cond[b][t][l], expected ? token : at::zeros_like(token)));
      }
    }
  }
  EXPECT_EQ(out.loss_mask[0].slice(-1, 0, 7).min().item<float>(), 1);
}

INSTANTIATE_TEST_SUITE_P(
    Each, GivenTokensTest,
    ::testing::Values(
        Mode{"unconditional", [](v1::ModelSpec&) {}, {"....", "....", "....", "....", "...."}},
        Mode{"sim",
             [](v1::ModelSpec& m) { m.set_sim_condition(true); },
             {"xxxx", "....", "....", "....", "...."}},
        Mode{"tps",
             [](v1::ModelSpec& m) { m.set_tps_condition(true); },
             {"xxxx", "....", "....", "....", "xxxx"}},
        Mode{"interval",
             [](v1::ModelSpec& m) { m.set_cond_interval(3); },
             {"xxxx", "....", "....", "xxxx", "...."}},
        Mode{"inpainting",
             [](v1::ModelSpec& m) { m.set_inpainting(true); },
             {"x..x", "x..x", "x..x", "x..x", "x..x"}},
        Mode{"mpnn", [](v1::ModelSpec& m) { m.set_mpnn(true); }, {"x..x", "x..x", "x..x", "x..x", "x..x"}},
        Mode{"dynamic_mpnn",
             [](v1::ModelSpec& m) { m.set_dynamic_mpnn(true); },
             {"x..x", "x..x", "x..x", "x..x", "x..x"}},
        Mode{"all",
             [](v1::ModelSpec& m) {
               m.set_sim_condition(true);
               m.set_tps_condition(true);
               m.set_inpainting(true);
               m.set_cond_interval(2);
             },
             {"xxxx", "x..x", "xxxx", "x..x", "xxxx"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(PrepareTest, BothEndsGiveASecondSetOfOffsets) {
  const data::Batch in = random_batch();
  const std::vector<Set> modes = {[](v1::ModelSpec& m) { m.set_tps_condition(true); },
                                  [](v1::ModelSpec& m) { m.set_inpainting(true); },
                                  [](v1::ModelSpec& m) { m.set_dynamic_mpnn(true); }};
  for (const Set& mode : modes) {
    const Prepared out = prepare_with(in, mode);
    ASSERT_EQ(out.latents.size(-1), 28);
    EXPECT_TRUE(at::equal(out.latents.slice(-1, 0, 7), offsets_from(in, 0)));
    EXPECT_TRUE(at::equal(out.latents.slice(-1, 7, 14), offsets_from(in, kFrames - 1)));
    EXPECT_TRUE(at::equal(out.latents.slice(-1, 14), in.torsions.flatten(3)));
    EXPECT_TRUE(at::equal(out.loss_mask.slice(-1, 7, 14), out.loss_mask.slice(-1, 0, 7)));
  }
}

TEST(PrepareTest, NoOffsetsLeavesTheFirstSetAbsolute) {
  const data::Batch in = random_batch();
  const at::Tensor absolute = protein::to_tensor_7({in.rots, in.trans});
  EXPECT_TRUE(at::equal(
      prepare_with(in, [](v1::ModelSpec& m) { m.set_no_offsets(true); }).latents.slice(-1, 0, 7), absolute));
  const Prepared both = prepare_with(in, [](v1::ModelSpec& m) {
    m.set_no_offsets(true);
    m.set_tps_condition(true);
  });
  EXPECT_TRUE(at::equal(both.latents.slice(-1, 0, 7), absolute));
  EXPECT_TRUE(at::equal(both.latents.slice(-1, 7, 14), offsets_from(in, kFrames - 1)));
}

TEST(PrepareTest, ZeroedTorsionsStayInTheLoss) {
  const data::Batch in = random_batch();
  const Prepared plain = prepare_with(in, [](v1::ModelSpec&) {});
  const Prepared none = prepare_with(in, [](v1::ModelSpec& m) { m.set_no_torsion(true); });
  EXPECT_EQ(none.latents.slice(-1, 7).abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(none.loss_mask, plain.loss_mask));

  const Prepared designed = prepare_with(in, [](v1::ModelSpec& m) { m.set_no_design_torsion(true); });
  EXPECT_EQ(designed.latents.slice(-1, 7).slice(2, 1, 3).abs().max().item<float>(), 0);
  for (const std::int64_t kept : {0, 3}) {
    EXPECT_TRUE(at::equal(designed.latents.select(2, kept), plain.latents.select(2, kept)));
  }
  EXPECT_TRUE(at::equal(designed.loss_mask, plain.loss_mask));
  EXPECT_NE(in.torsions.abs().sum().item<float>(), 0);
  EXPECT_TRUE(at::equal(in.torsions, random_batch().torsions));  // the batch itself is left alone
}

TEST(PrepareTest, SupervisionOfTorsionsIsAllOrNone) {
  const data::Batch in = random_batch();
  const auto torsions = [&](const Set& set, bool compat) {
    return prepare_with(in, set, compat).loss_mask.slice(-1, 7);
  };
  const Set all = [](v1::ModelSpec& m) { m.set_supervise_all_torsions(true); };
  EXPECT_EQ(torsions(all, true).min().item<float>(), 1);  // padding too, as the reference
  EXPECT_EQ(torsions(all, false)[0].min().item<float>(), 1);
  EXPECT_EQ(torsions(all, false)[1].slice(1, 0, 3).min().item<float>(), 1);
  EXPECT_EQ(torsions(all, false)[1].select(1, 3).max().item<float>(), 0);

  const Set none = [](v1::ModelSpec& m) { m.set_supervise_no_torsions(true); };
  EXPECT_EQ(torsions(none, false).max().item<float>(), 0);
  EXPECT_EQ(prepare_with(in, none).loss_mask[0].slice(-1, 0, 7).min().item<float>(), 1);
}

TEST(PrepareTest, NoFramesGeneratesAtoms) {
  data::Batch in = random_batch();
  in.trans = in.rots = in.torsions = in.torsion_mask = at::Tensor();
  const Prepared out = prepare_with(in, [](v1::ModelSpec& m) {
    m.set_no_frames(true);
    m.set_sim_condition(true);
  });
  ASSERT_EQ(out.latents.sizes(), at::IntArrayRef({kBatch, kFrames, 4, 111}));
  EXPECT_TRUE(at::equal(out.latents.unflatten(-1, {37, 3}), in.atom37));
  ASSERT_EQ(out.loss_mask.sizes(), out.latents.sizes());
  EXPECT_TRUE(at::equal(out.loss_mask.unflatten(-1, {37, 3}).select(-1, 2).select(1, 3), in.atom37_mask));
  EXPECT_TRUE(at::equal(out.conditioning.mask.select(1, 1), in.mask));
  EXPECT_TRUE(at::equal(out.conditioning.x_cond.select(1, 0), out.latents.select(1, 0)));
  EXPECT_FALSE(out.conditioning.start_frames.rots.defined());
}

TEST(PrepareTest, DesignHidesTheTypesOfTheMiddleResidues) {
  const data::Batch in = random_batch();
  const Prepared out = prepare(in, designing(forward_simulation()));
  const at::Tensor& types = out.conditioning.aatype;
  EXPECT_EQ(types.slice(1, 1, 3).min().item<std::int64_t>(), kHiddenType);
  for (const std::int64_t seen : {0, 3})
    EXPECT_TRUE(at::equal(types.select(1, seen), in.seqres.select(1, seen)));
  EXPECT_TRUE(at::equal(in.seqres, random_batch().seqres));

  ASSERT_TRUE(out.sequence.has_value());
  EXPECT_TRUE(at::equal(out.sequence->types, in.seqres));
  EXPECT_TRUE(at::equal(out.sequence->simplex, in.simplex));
  EXPECT_TRUE(at::equal(out.sequence->mask, in.mask));
  EXPECT_EQ(out.sequence->weight, 0.25);
  EXPECT_FALSE(out.sequence->alone);
  EXPECT_EQ(out.latents.size(-1), 21);
}

TEST(PrepareTest, UnderReferenceCompatTheSequencesLossCountsPadding) {
  v1::JobSpec spec = designing(forward_simulation());
  spec.set_reference_compat(true);
  EXPECT_EQ(prepare(random_batch(), spec).sequence->mask.min().item<float>(), 1);
}

TEST(PrepareTest, DesignKeyFramesShowsNeighboursFramesAtBothEnds) {
  const data::Batch in = random_batch();
  const Prepared out = prepare_with(in, [](v1::ModelSpec& m) { m.set_design_key_frames(true); });
  const std::vector<std::int64_t> source = {0, 0, 3, 3};
  at::Tensor trans = in.trans.clone();
  for (const std::int64_t t : {std::int64_t{0}, kFrames - 1}) {
    for (std::int64_t l = 0; l < 4; ++l) {
      trans.select(1, t).select(1, l).copy_(
          in.trans.select(1, t).select(1, source[static_cast<std::size_t>(l)]));
    }
  }
  EXPECT_TRUE(at::equal(out.frames.trans, trans));
  EXPECT_TRUE(at::equal(out.conditioning.start_frames.trans, trans.select(1, 0)));
  EXPECT_TRUE(
      at::equal(out.conditioning.end_frames.rots.select(1, 1), in.rots.select(1, kFrames - 1).select(1, 0)));
  // Offsets are of the frames that the model sees.
  const at::Tensor gap = in.trans[0][2][1] - in.trans[0][0][0];
  EXPECT_TRUE(
      at::allclose(out.latents[0][2][1].slice(0, 4, 7), at::mv(in.rots[0][0][0].t(), gap), 1e-4, 1e-4));
  EXPECT_TRUE(at::equal(in.trans, random_batch().trans));
}

TEST(PrepareTest, TooFewResiduesAreRefused) {
  const std::vector<Set> modes = {[](v1::ModelSpec& m) { m.set_inpainting(true); },
                                  [](v1::ModelSpec& m) { m.set_mpnn(true); },
                                  [](v1::ModelSpec& m) { m.set_dynamic_mpnn(true); },
                                  [](v1::ModelSpec& m) { m.set_design(true); },
                                  [](v1::ModelSpec& m) { m.set_no_design_torsion(true); },
                                  [](v1::ModelSpec& m) { m.set_design_key_frames(true); }};
  for (const Set& mode : modes) EXPECT_THROW(prepare_with(random_batch(3), mode), Error);
  EXPECT_THROW(prepare_with(random_batch(5), modes.back()), Error);
}

// Each flag alone: the channels that the model takes, noise and conditioning have.
TEST(LatentLayoutTest, SaysWhichChannelsAreWhat) {
  const auto layout = [](const Set& set) {
    v1::ModelSpec spec;
    set(spec);
    EXPECT_EQ(latent_channels(spec), model::latent_layout(spec).continuous());
    return model::latent_layout(spec);
  };
  EXPECT_EQ(layout([](v1::ModelSpec&) {}).total(), 21);
  EXPECT_EQ(layout([](v1::ModelSpec& m) { m.set_mpnn(true); }).total(), 21);
  const model::LatentLayout design = layout([](v1::ModelSpec& m) {
    m.set_tps_condition(true);
    m.set_design(true);
  });
  EXPECT_EQ(design.second_offsets.begin, 7);
  EXPECT_EQ(design.torsions.begin, 14);
  EXPECT_EQ(design.sequence.begin, 28);
  EXPECT_EQ(design.continuous(), 28);
  EXPECT_EQ(design.total(), 48);
  const model::LatentLayout atoms = layout([](v1::ModelSpec& m) { m.set_no_frames(true); });
  EXPECT_EQ(atoms.atom37.begin, 0);
  EXPECT_EQ(atoms.torsions.size, 0);
  EXPECT_EQ(atoms.total(), 111);
}

TEST(TrainingLossesTest, AFreshModelsLossIsThePlainMaskedMean) {
  model::ModelConfig config;
  config.embed_dim = 16;
  config.num_layers = 1;
  config.mha_heads = 2;
  config.prepend_ipa = config.sim_condition = true;
  model::LatentModel model(config);
  model->initialize(1);
  const Prepared prepared = prepare(random_batch(), forward_simulation());
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
