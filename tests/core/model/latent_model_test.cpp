#include "core/model/latent_model.h"

#include <gtest/gtest.h>

#include <set>

#include "core/base/error.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kFrames = 3;
constexpr std::int64_t kLength = 5;

ModelConfig config() {
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
  return config;
}

struct Inputs {
  Inputs() {
    at::manual_seed(2);
    x = at::randn({kBatch, kFrames, kLength, 21});
    t = at::tensor({0.2F, 0.9F});
    const at::Tensor rotations = at::eye(3).expand({kBatch, kLength, 3, 3});
    given.mask = at::ones({kBatch, kFrames, kLength});
    given.start_frames = {rotations, 5 * at::randn({kBatch, kLength, 3})};
    given.end_frames = given.start_frames;
    given.x_cond = at::zeros_like(x);
    given.x_cond_mask = at::zeros({kBatch, kFrames, kLength}, at::kLong);
    given.aatype = at::randint(0, 20, {kBatch, kLength});
  }
  at::Tensor x, t;
  Conditioning given;
};

// All weights random, so that no zero-initialised gate hides a path.
LatentModel open_model(const ModelConfig& config) {
  LatentModel model(config);
  const torch::NoGradGuard no_grad;
  at::manual_seed(4);
  for (auto& item : model->named_parameters()) item.value().normal_(0, 0.3);
  return model;
}

ModelConfig full_config() {
  ModelConfig full = config();
  full.prepend_ipa = full.sim_condition = full.abs_pos_emb = full.abs_time_emb = true;
  return full;
}

TEST(LatentModelTest, TensorsHaveTheReferencesNames) {
  std::set<std::string> names;
  const LatentModel model(full_config());
  for (const auto& item : model->named_parameters()) names.insert(item.key());
  for (const auto& item : model->named_buffers()) names.insert(item.key());
  for (const char* name : {"latent_to_emb.weight",
                           "cond_to_emb.bias",
                           "mask_to_emb.weight",
                           "aatype_to_emb.weight",
                           "ipa_layers.1.adaLN_modulation.1.weight",
                           "ipa_layers.0.ipa_norm.weight",
                           "ipa_layers.0.ipa.head_weights",
                           "ipa_layers.0.ipa.linear_kv_points.bias",
                           "ipa_layers.0.mha_l.attn.bias_k",
                           "ipa_layers.0.mha_l.attn.rot_emb.inv_freq",
                           "ipa_layers.1.fc2.bias",
                           "layers.0.adaLN_modulation.1.bias",
                           "layers.1.mha_t.attn.q_proj.weight",
                           "layers.1.mha_l.attn.out_proj.bias",
                           "layers.0.fc1.weight",
                           "emb_to_latent.linear.weight",
                           "emb_to_latent.adaLN_modulation.1.weight",
                           "t_embedder.mlp.0.weight",
                           "t_embedder.mlp.2.bias",
                           "pos_embed",
                           "time_embed"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  // Of an IPA layer, of a main layer, beside them.
  EXPECT_EQ(names.size(), 2 * (30 + 28) + 16U);
}

TEST(LatentModelTest, ThePublishedModelHasItsParameterCount) {
  ModelConfig published;
  published.prepend_ipa = published.sim_condition = true;
  std::int64_t count = 0;
  const LatentModel model(published);
  for (const auto& p : model->parameters()) count += p.numel();
  EXPECT_EQ(count, 34152521);
}

TEST(LatentModelTest, AFreshModelAnswersZero) {
  LatentModel model(full_config());
  model->initialize(137);
  const Inputs in;
  const at::Tensor y = model->forward(in.x, in.t, in.given);
  EXPECT_EQ(y.sizes(), in.x.sizes());
  EXPECT_EQ(y.abs().max().item<float>(), 0);
}

TEST(LatentModelTest, WorksWithoutConditioningAndIpa) {
  const torch::NoGradGuard no_grad;
  LatentModel model = open_model(config());
  Inputs in;
  const at::Tensor y = model->forward(in.x, in.t, in.given);
  EXPECT_EQ(y.sizes(), in.x.sizes());
  EXPECT_TRUE(at::isfinite(y).all().item<bool>());
  in.given.start_frames = {};
  in.given.aatype = at::Tensor();
  EXPECT_TRUE(at::equal(model->forward(in.x, in.t, in.given), y));
}

TEST(LatentModelTest, EveryInputMatters) {
  const torch::NoGradGuard no_grad;
  LatentModel model = open_model(full_config());
  const Inputs in;
  const at::Tensor y = model->forward(in.x, in.t, in.given);
  const auto changes = [&](auto change) {
    Inputs other;
    change(other);
    return !at::allclose(model->forward(other.x, other.t, other.given), y);
  };
  EXPECT_TRUE(changes([](Inputs& i) { i.x[0][0][0][0] += 1; }));
  EXPECT_TRUE(changes([](Inputs& i) { i.t[1] = 0.5; }));
  EXPECT_TRUE(changes([](Inputs& i) { i.given.x_cond[1][2][0][3] = 1; }));
  EXPECT_TRUE(changes([](Inputs& i) { i.given.x_cond_mask[0].fill_(1); }));
  EXPECT_TRUE(changes([](Inputs& i) { i.given.start_frames.trans[0][0] += 2; }));
  EXPECT_TRUE(changes([](Inputs& i) { i.given.aatype[0][0] = 20; }));
  EXPECT_TRUE(changes([](Inputs& i) { i.given.mask[0].select(1, 4).zero_(); }));
}

// A sample alone gives what it gives in a batch, whatever its padding holds.
TEST(LatentModelTest, BatchMatesAndPaddingHaveNoInfluence) {
  const torch::NoGradGuard no_grad;
  LatentModel model = open_model(full_config());
  Inputs in;
  in.given.mask[1].slice(1, 3).zero_();
  const at::Tensor y = model->forward(in.x, in.t, in.given);

  const auto second = [](const at::Tensor& tensor) { return tensor.slice(0, 1).clone(); };
  Conditioning alone = in.given;
  alone.mask = second(alone.mask);
  alone.start_frames = {second(alone.start_frames.rots), second(alone.start_frames.trans)};
  alone.x_cond = second(alone.x_cond);
  alone.x_cond_mask = second(alone.x_cond_mask);
  alone.aatype = second(alone.aatype);
  at::Tensor x = second(in.x);
  x.slice(2, 3).fill_(50);
  alone.x_cond.slice(2, 3).fill_(9);
  alone.start_frames.trans.slice(1, 3).fill_(1);
  const at::Tensor expected = second(y).slice(2, 0, 3);
  EXPECT_TRUE(at::allclose(model->forward(x, second(in.t), alone).slice(2, 0, 3), expected, 1e-5, 1e-5));
}

TEST(LatentModelTest, ShowsTheListenerWhatIpaGives) {
  LatentModel model = open_model(full_config());
  const Inputs in;
  std::vector<std::vector<at::Tensor>> shown;
  model->set_ipa_listener([&](const at::Tensor& t, const at::Tensor& ipa, const at::Tensor& mask) {
    shown.push_back({t, ipa, mask});
  });
  const at::Tensor heard = model->forward(in.x, in.t, in.given);
  model->set_ipa_listener({});
  EXPECT_TRUE(at::equal(model->forward(in.x, in.t, in.given), heard));
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_TRUE(at::equal(shown[0][0], in.t));
  EXPECT_EQ(shown[0][1].sizes(), (std::vector<std::int64_t>{kBatch, kLength, 16}));
  EXPECT_FALSE(shown[0][1].requires_grad());
  EXPECT_TRUE(at::equal(shown[0][2], in.given.mask.select(1, 0)));
}

TEST(LatentModelTest, PositionTablesAreCutToTheSample) {
  const torch::NoGradGuard no_grad;
  ModelConfig small = full_config();
  small.crop = kLength;
  small.num_frames = kFrames;
  const Inputs in;
  EXPECT_TRUE(at::equal(open_model(full_config())->forward(in.x, in.t, in.given),
                        open_model(small)->forward(in.x, in.t, in.given)));
  small.crop = kLength - 1;
  EXPECT_THROW(open_model(small)->forward(in.x, in.t, in.given), Error);
}

TEST(LatentModelTest, RefusesImpossibleSizes) {
  ModelConfig odd = config();
  odd.embed_dim = 20;  // five channels a head: RoPE has no pairs
  EXPECT_THROW(LatentModel{odd}, Error);
}

}  // namespace
}  // namespace mdgen::model
