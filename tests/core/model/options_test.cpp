// What each mode and option of the model changes, and what it may not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "core/base/error.h"
#include "core/model/latent_model.h"
#include "core/model/summary.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::model {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kFrames = 5;
constexpr std::int64_t kLength = 4;

struct Mode {
  const char* name;
  std::function<void(ModelConfig&)> set;
};

ModelConfig config_of(const std::function<void(ModelConfig&)>& set) {
  ModelConfig config;
  config.embed_dim = 16;
  config.num_layers = 2;
  config.mha_heads = 4;
  config.ipa_heads = 2;
  config.ipa_head_dim = 4;
  config.ipa_qk = 3;
  config.ipa_v = 2;
  config.num_frames = 6;
  config.crop = 8;
  set(config);
  config.latent_dim = 21 + (config.has_relative_frames() ? 7 : 0) + (config.design ? 20 : 0);
  return config;
}

// All weights random, so that no zero-initialised gate hides a path.
LatentModel open_model(const ModelConfig& config) {
  LatentModel model(config);
  const torch::NoGradGuard no_grad;
  at::manual_seed(4);
  for (auto& item : model->named_parameters()) item.value().normal_(0, 0.3);
  return model;
}

LatentModel open_model(const std::function<void(ModelConfig&)>& set) { return open_model(config_of(set)); }

protein::Rigid random_frames() {
  const at::Tensor rots = std::get<0>(at::linalg_qr(at::randn({kBatch, kLength, 3, 3})));
  const at::Tensor proper = rots * at::linalg_det(rots).unsqueeze(-1).unsqueeze(-1);
  return {proper, 3 * at::randn({kBatch, kLength, 3})};
}

struct Inputs {
  explicit Inputs(const ModelConfig& config) {
    at::manual_seed(2);
    const int given_channels = config.latent_dim - (config.design ? 20 : 0);
    x = at::randn({kBatch, kFrames, kLength, config.latent_dim});
    t = at::tensor({0.2F, 0.9F});
    given.mask = at::ones({kBatch, kFrames, kLength});
    given.start_frames = random_frames();
    given.end_frames = random_frames();
    given.x_cond = at::randn({kBatch, kFrames, kLength, given_channels});
    given.x_cond_mask = at::randint(0, 2, {kBatch, kFrames, kLength});
    given.aatype = at::randint(0, 20, {kBatch, kLength});
  }
  at::Tensor x, t;
  Conditioning given;
};

at::Tensor answer(LatentModel& model, const Inputs& in) { return model->forward(in.x, in.t, in.given); }

// Whether a change to the inputs changes the answer, by more than rounding.
bool depends(const std::function<void(ModelConfig&)>& set, const std::function<void(Inputs&)>& change) {
  const torch::NoGradGuard no_grad;
  const ModelConfig config = config_of(set);
  LatentModel model = open_model(config);
  Inputs in(config);
  const at::Tensor before = answer(model, in);
  change(in);
  return ((answer(model, in) - before).abs().max() / before.abs().max()).item<double>() > 1e-4;
}

void move_start(Inputs& in) { in.given.start_frames.trans[0][0] += 2; }
void move_end(Inputs& in) { in.given.end_frames.trans[0][0] += 2; }
void move_all(Inputs& in) {
  move_start(in);
  move_end(in);
}
void other_type(Inputs& in) { in.given.aatype[0][0] = 20; }
std::function<void(Inputs&)> other_frame(std::int64_t frame) {
  return [frame](Inputs& in) {
    for (const at::Tensor& tensor : {in.x, in.given.x_cond})
      tensor.select(1, frame).narrow(-1, 0, 21).add_(1);
  };
}

void sim(ModelConfig& c) { c.sim_condition = c.prepend_ipa = true; }
void tps(ModelConfig& c) { c.tps_condition = c.prepend_ipa = true; }
void inpainting(ModelConfig& c) { c.inpainting = c.prepend_ipa = c.design = true; }
void mpnn(ModelConfig& c) { c.mpnn = c.prepend_ipa = c.design = true; }
void dynamic_mpnn(ModelConfig& c) { c.dynamic_mpnn = c.prepend_ipa = c.design = true; }
void design_sim(ModelConfig& c) { c.sim_condition = c.prepend_ipa = c.design = true; }
void unconditional(ModelConfig& c) { c.prepend_ipa = true; }

TEST(ModeTest, EachSeesTheFramesThatItIsGiven) {
  struct Row {
    const char* name;
    void (*set)(ModelConfig&);
    bool sees_start, sees_end;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"sim", sim, true, false},
           {"design_sim", design_sim, true, false},
           {"mpnn", mpnn, true, false},
           {"tps", tps, true, true},
           {"inpainting", inpainting, true, true},
           {"dynamic_mpnn", dynamic_mpnn, true, true},
           {"sim and tps: sim wins", [](ModelConfig& c) { sim(c), tps(c); }, true, false},
           {"upsampling alone", [](ModelConfig& c) { c.cond_interval = c.prepend_ipa = true; }, true, false},
           {"unconditional", unconditional, false, false},
           {"no IPA", [](ModelConfig& c) { c.sim_condition = true; }, false, false},
           {"interleaved", [](ModelConfig& c) { c.sim_condition = c.interleave_ipa = true; }, true, false},
           {"interleaved tps", [](ModelConfig& c) { c.tps_condition = c.interleave_ipa = true; }, true,
            false},
           {"interleaved, unconditional", [](ModelConfig& c) { c.interleave_ipa = true; }, false, false},
           {"both, unconditional", [](ModelConfig& c) { c.interleave_ipa = c.prepend_ipa = true; }, false,
            false},
       }) {
    EXPECT_EQ(depends(row.set, move_start), row.sees_start) << row.name;
    EXPECT_EQ(depends(row.set, move_end), row.sees_end) << row.name;
  }
}

// As the reference, which hands the first frame to the interleaved IPA whatever the model is given.
TEST(ModeTest, CompatInterleavedIpaOfAnUnconditionalModelSeesTheFirstFrame) {
  const auto set = [](ModelConfig& c) { c.interleave_ipa = c.reference_compat = true; };
  EXPECT_TRUE(depends(set, move_start));
  const auto both = [](ModelConfig& c) { c.interleave_ipa = c.prepend_ipa = c.reference_compat = true; };
  EXPECT_FALSE(depends(both, move_all));
}

TEST(ModeTest, UnconditionalIpaLearnsFromTypesAlone) {
  EXPECT_TRUE(depends(unconditional, other_type));
  const ModelConfig config = config_of(unconditional);
  LatentModel model = open_model(config);
  Inputs in(config);
  in.given.start_frames = in.given.end_frames = {};
  EXPECT_TRUE(at::isfinite(answer(model, in)).all().item<bool>());
}

TEST(ModeTest, MovingAllFramesTogetherChangesNothing) {
  for (auto* set : {sim, tps, inpainting, dynamic_mpnn}) {
    EXPECT_FALSE(depends(set, [](Inputs& in) {
      const protein::Rigid turn{random_frames().rots[0][0], at::tensor({3.0F, -2.0F, 1.0F})};
      in.given.start_frames = protein::compose(turn, in.given.start_frames);
      in.given.end_frames = protein::compose(turn, in.given.end_frames);
    }));
  }
}

TEST(ModeTest, SequenceModelsGiveLogitsFromTheFramesTheyLookAt) {
  for (const auto& [set, seen] : std::vector<std::pair<void (*)(ModelConfig&), std::set<std::int64_t>>>{
           {mpnn, {0}}, {dynamic_mpnn, {0, kFrames - 1}}}) {
    const ModelConfig config = config_of(set);
    LatentModel model = open_model(config);
    EXPECT_EQ(answer(model, Inputs(config)).sizes(), (std::vector<std::int64_t>{kBatch, 1, kLength, 20}));
    for (std::int64_t i = 0; i < kFrames; ++i) EXPECT_EQ(depends(set, other_frame(i)), seen.contains(i)) << i;
  }
}

TEST(ModeTest, TheLastFrameOfASequenceModelKeepsItsPlaceInTime) {
  const ModelConfig config = config_of([](ModelConfig& c) {
    dynamic_mpnn(c);
    c.abs_time_emb = true;
  });
  LatentModel model = open_model(config);
  const torch::NoGradGuard no_grad;
  const Inputs in(config);
  const at::Tensor before = answer(model, in);
  const at::Tensor table = model->named_buffers()["time_embed"];
  table.select(1, 1).add_(1);
  EXPECT_TRUE(at::equal(answer(model, in), before));
  table.select(1, kFrames - 1).add_(1);
  EXPECT_FALSE(at::allclose(answer(model, in), before));
}

// One type for all frames: only the mean over frames enters IPA, and the head adds the same logits
// everywhere.
TEST(DesignTest, TheHeadAddsTheSameLogitsToEachFrame) {
  const torch::NoGradGuard no_grad;
  const ModelConfig config = config_of(design_sim);
  LatentModel model = open_model(config);
  const Inputs in(config);
  const at::Tensor before = answer(model, in);
  model->named_parameters()["emb_to_logits.bias"].add_(at::arange(20));
  const at::Tensor added = answer(model, in) - before;
  EXPECT_TRUE(at::allclose(added.narrow(-1, 0, 21), at::zeros({}), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(added.narrow(-1, 21, 20), at::arange(20, at::kFloat), 1e-4, 1e-4));
}

TEST(DesignTest, IpaSeesTheMeanSequence) {
  const torch::NoGradGuard no_grad;
  const ModelConfig config = config_of(design_sim);
  LatentModel model = open_model(config);
  at::Tensor shown;
  model->set_ipa_listener([&](const at::Tensor&, const at::Tensor& ipa, const at::Tensor&) { shown = ipa; });
  Inputs in(config);
  answer(model, in);
  const at::Tensor before = shown;
  at::Tensor sequence = in.x.narrow(-1, 21, 20);
  sequence.copy_(sequence.mean(1, /*keepdim=*/true).expand_as(sequence));
  answer(model, in);
  EXPECT_TRUE(at::allclose(shown, before, 1e-4, 1e-5));
  sequence.select(1, 0).select(-1, 3).add_(1);
  answer(model, in);
  EXPECT_FALSE(at::allclose(shown, before, 1e-4, 1e-5));
}

TEST(OptionTest, WithoutResidueTypesNothingDependsOnThem) {
  const auto set = [](ModelConfig& c) { sim(c), c.no_aa_emb = true; };
  EXPECT_TRUE(depends(sim, other_type));
  EXPECT_FALSE(depends(set, other_type));
  EXPECT_FALSE(open_model(set)->named_parameters().contains("aatype_to_emb.weight"));
}

TEST(OptionTest, EachIsAnotherModel) {
  const torch::NoGradGuard no_grad;
  const ModelConfig plain = config_of(sim);
  LatentModel standard = open_model(plain);
  const at::Tensor before = answer(standard, Inputs(plain));
  const auto weights = standard->named_parameters();
  for (const Mode& option : std::initializer_list<Mode>{
           {"no_rope", [](ModelConfig& c) { c.no_rope = true; }},
           {"hyena", [](ModelConfig& c) { c.hyena = true; }},
           {"hyena as the reference", [](ModelConfig& c) { c.hyena = c.reference_compat = true; }},
           {"interleave_ipa", [](ModelConfig& c) { c.interleave_ipa = true; }},
           {"abs_pos_emb", [](ModelConfig& c) { c.abs_pos_emb = true; }},
           {"abs_time_emb", [](ModelConfig& c) { c.abs_time_emb = true; }},
           {"time_multiplier", [](ModelConfig& c) { c.time_multiplier = 10; }},
           {"num_layers", [](ModelConfig& c) { c.num_layers = 1; }},
           {"ipa_heads", [](ModelConfig& c) { c.ipa_heads = 3; }},
           {"mha_heads", [](ModelConfig& c) { c.mha_heads = 2; }}}) {
    ModelConfig config = plain;
    option.set(config);
    LatentModel model = open_model(config);
    // The same weights where both have them.
    for (auto& item : model->named_parameters()) {
      const at::Tensor* same = weights.find(item.key());
      if (same != nullptr && same->sizes() == item.value().sizes()) item.value().copy_(*same);
    }
    const at::Tensor y = answer(model, Inputs(config));
    EXPECT_EQ(y.sizes(), before.sizes()) << option.name;
    EXPECT_TRUE(at::isfinite(y).all().item<bool>()) << option.name;
    EXPECT_FALSE(at::allclose(y, before, 1e-3, 1e-3)) << option.name;
  }
}

// B19: with the reference's mask padding is attended to, and more than what is real.
TEST(OptionTest, WithoutRopePaddingIsHiddenUnlessAsTheReference) {
  const auto pad_and_change = [](Inputs& in) { in.x.select(2, kLength - 1).add_(1); };
  for (const bool compat : {false, true}) {
    const torch::NoGradGuard no_grad;
    const ModelConfig config = config_of([&](ModelConfig& c) {
      sim(c);
      c.no_rope = true;
      c.reference_compat = compat;
    });
    LatentModel model = open_model(config);
    Inputs in(config);
    in.given.mask.select(2, kLength - 1).zero_();
    const at::Tensor before = answer(model, in).narrow(2, 0, kLength - 1).clone();
    pad_and_change(in);
    const at::Tensor after = answer(model, in).narrow(2, 0, kLength - 1);
    EXPECT_EQ(at::allclose(before, after, 1e-5, 1e-6), !compat);
  }
}

TEST(OptionTest, HyenaTakesPaddedResiduesButNeitherPaddedFramesNorTooMany) {
  const auto error_of = [](const ModelConfig& config, const std::function<void(Inputs&)>& change) {
    LatentModel model = open_model(config);
    Inputs in(config);
    change(in);
    try {
      answer(model, in);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  ModelConfig config = config_of([](ModelConfig& c) { sim(c), c.hyena = true; });
  EXPECT_EQ(error_of(config, [](Inputs&) {}), "");
  EXPECT_EQ(error_of(config, [](Inputs& in) { in.given.mask[0].select(1, 3).zero_(); }), "");
  EXPECT_THAT(error_of(config, [](Inputs& in) { in.given.mask[0].select(0, 3).zero_(); }),
              HasSubstr("none of a real residue's may be padding"));
  config.num_frames = kFrames - 1;
  EXPECT_THAT(error_of(config, [](Inputs&) {}), HasSubstr("5 frames"));
}

TEST(OptionTest, WrongChannelsAreNamed) {
  const ModelConfig config = config_of(design_sim);
  LatentModel model = open_model(config);
  Inputs in(config);
  in.given.x_cond = in.x;
  EXPECT_THROW(answer(model, in), Error);
  in = Inputs(config);
  in.x = in.given.x_cond;
  EXPECT_THROW(answer(model, in), Error);
}

TEST(OptionTest, RefusesWhatDoesNotGoTogether) {
  const auto refused = [](const std::function<void(ModelConfig&)>& set) {
    try {
      LatentModel model(config_of(set));
    } catch (const Error&) {
      return true;
    }
    return false;
  };
  EXPECT_TRUE(refused([](ModelConfig& c) { c.embed_dim = 18; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.embed_dim = 20; }));  // five channels a head
  EXPECT_FALSE(refused([](ModelConfig& c) { c.embed_dim = 20, c.no_rope = true; }));
  EXPECT_TRUE(
      refused([](ModelConfig& c) { c.embed_dim = c.mha_heads = 5, c.no_rope = c.abs_pos_emb = true; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.mpnn = c.prepend_ipa = true; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.dynamic_mpnn = c.prepend_ipa = true; }));
  EXPECT_TRUE(refused([](ModelConfig& c) { c.sim_condition = c.design = true; }));
}

TEST(GradientTest, SimWithTpsLeavesTheRelativeFramesWithoutGradient) {
  const ModelConfig config = config_of([](ModelConfig& c) { sim(c), tps(c); });
  LatentModel model = open_model(config);
  answer(model, Inputs(config)).square().sum().backward();
  for (const auto& item : model->named_parameters()) {
    const bool unused =
        item.key().starts_with("latent_to_emb_f") || item.key().starts_with("latent_to_emb_r");
    EXPECT_EQ(item.value().grad().defined(), !unused) << item.key();
  }
}

TEST(GradientTest, EveryParameterOfEachModeLearns) {
  for (auto* set : {sim, tps, inpainting, mpnn, dynamic_mpnn, design_sim, unconditional}) {
    const ModelConfig config = config_of([&](ModelConfig& c) { set(c), c.hyena = c.interleave_ipa = true; });
    LatentModel model = open_model(config);
    answer(model, Inputs(config)).square().sum().backward();
    for (const auto& item : model->named_parameters())
      EXPECT_TRUE(item.value().grad().defined()) << item.key();
  }
}

v1::JobSpec published() {
  v1::JobSpec spec;
  v1::ModelSpec& model = *spec.mutable_model();
  model.set_embed_dim(384);
  model.set_num_layers(5);
  model.set_mha_heads(16);
  model.set_ipa_heads(4);
  model.set_ipa_head_dim(32);
  model.set_ipa_qk(8);
  model.set_ipa_v(8);
  model.set_prepend_ipa(true);
  spec.mutable_data()->set_num_frames(100);
  spec.mutable_data()->set_crop(256);
  return spec;
}

std::int64_t count(const v1::JobSpec& spec) { return parameter_count(*LatentModel(model_config(spec))); }

TEST(PublishedModelTest, EachHasItsParameterCount) {
  v1::JobSpec spec = published();
  spec.mutable_model()->set_sim_condition(true);
  EXPECT_EQ(count(spec), 34152521);
  spec = published();
  spec.mutable_model()->set_tps_condition(true);
  EXPECT_EQ(count(spec), 34166736);
  spec = published();
  spec.mutable_model()->set_inpainting(true);
  spec.mutable_model()->set_design(true);
  spec.mutable_model()->set_no_aa_emb(true);
  EXPECT_EQ(count(spec), 34633336);
}

TEST(PublishedModelTest, LatentsHaveTheChannelsOfTheMode) {
  const auto channels = [](const std::function<void(v1::ModelSpec&)>& set) {
    v1::JobSpec spec = published();
    set(*spec.mutable_model());
    return model_config(spec).latent_dim;
  };
  EXPECT_EQ(channels([](v1::ModelSpec& m) { m.set_sim_condition(true); }), 21);
  EXPECT_EQ(channels([](v1::ModelSpec& m) { m.set_tps_condition(true); }), 28);
  EXPECT_EQ(channels([](v1::ModelSpec& m) { m.set_inpainting(true), m.set_design(true); }), 48);
  EXPECT_EQ(channels([](v1::ModelSpec& m) { m.set_mpnn(true), m.set_design(true); }), 41);
  EXPECT_EQ(channels([](v1::ModelSpec& m) { m.set_dynamic_mpnn(true), m.set_design(true); }), 48);
  EXPECT_EQ(channels([](v1::ModelSpec& m) { m.set_no_frames(true); }), 111);
}

// The optimizer's state in the reference's checkpoints goes by this order.
TEST(PublishedModelTest, PartsComeInTheReferencesOrder) {
  const LatentModel model(config_of([](ModelConfig& c) { inpainting(c), c.interleave_ipa = true; }));
  std::vector<std::string> order;
  for (const auto& child : model->named_children()) order.push_back(child.key());
  EXPECT_EQ(order,
            (std::vector<std::string>{"latent_to_emb", "latent_to_emb_f", "latent_to_emb_r", "cond_to_emb",
                                      "mask_to_emb", "x_d_to_emb", "aatype_to_emb", "ipa_layers", "layers",
                                      "emb_to_latent", "fc1", "fc2", "fc3", "emb_to_logits", "t_embedder"}));
}

}  // namespace
}  // namespace mdgen::model
