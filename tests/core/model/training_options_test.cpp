// Dropout and recomputation in the whole model.
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>

#include <functional>
#include <map>
#include <set>
#include <string>

#include "core/base/error.h"
#include "core/model/latent_model.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kFrames = 4;
constexpr std::int64_t kLength = 6;

ModelConfig config() {
  ModelConfig config;
  config.embed_dim = 16;
  config.num_layers = 2;
  config.mha_heads = 4;
  config.ipa_heads = 2;
  config.ipa_head_dim = 4;
  config.ipa_qk = 3;
  config.ipa_v = 2;
  config.num_frames = kFrames;
  config.crop = 12;
  config.prepend_ipa = config.sim_condition = true;
  return config;
}

struct Inputs {
  explicit Inputs(std::int64_t batch = 2) {
    at::manual_seed(2);
    x = at::randn({batch, kFrames, kLength, 21});
    t = at::linspace(0.2, 0.9, batch);
    given.mask = at::ones({batch, kFrames, kLength});
    for (protein::Rigid* frames : {&given.start_frames, &given.end_frames}) {
      frames->rots = std::get<0>(at::linalg_qr(at::randn({batch, kLength, 3, 3})));
      frames->trans = 5 * at::randn({batch, kLength, 3});
    }
    given.x_cond = at::randn({batch, kFrames, kLength, 21});
    given.x_cond_mask = at::randint(0, 2, {batch, kFrames, kLength});
    given.aatype = at::randint(0, 20, {batch, kLength});
    given.dropout_key = at::arange(batch, at::kLong) * 1000003 + 17;
    given.first_residue = at::arange(batch, at::kLong) * 3;
  }

  // Every tensor through `change`, which is told the axis of residues (-1: none).
  Inputs changed(const std::function<at::Tensor(const at::Tensor&, std::int64_t residues)>& change) const {
    Inputs other = *this;
    Conditioning& c = other.given;
    for (at::Tensor* tensor : {&other.x, &c.mask, &c.x_cond, &c.x_cond_mask}) *tensor = change(*tensor, 2);
    for (protein::Rigid* frames : {&c.start_frames, &c.end_frames}) {
      frames->rots = change(frames->rots, 1);
      frames->trans = change(frames->trans, 1);
    }
    c.aatype = change(c.aatype, 1);
    for (at::Tensor* tensor : {&other.t, &c.dropout_key, &c.first_residue}) *tensor = change(*tensor, -1);
    return other;
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

at::Tensor output(LatentModel& model, const Inputs& inputs) {
  const torch::NoGradGuard no_grad;
  return model->forward(inputs.x, inputs.t, inputs.given);
}

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

ModelConfig dropping(double rate) {
  ModelConfig with = config();
  with.dropout = rate;
  return with;
}

TEST(ModelDropoutTest, ActsInTrainingAlone) {
  const Inputs inputs;
  LatentModel plain = open_model(config());
  LatentModel model = open_model(dropping(0.3));
  plain->train();
  model->train();
  EXPECT_GT(worst(output(model, inputs), output(plain, inputs)), 1e-3);
  EXPECT_TRUE(output(model, inputs).equal(output(model, inputs))) << "a function of its keys";
  model->eval();
  EXPECT_TRUE(output(model, inputs).equal(output(plain, inputs)));
}

TEST(ModelDropoutTest, RateZero_LeavesTheBits_AndNeedsNoKeys) {
  Inputs inputs;
  LatentModel model = open_model(config());
  model->eval();
  const at::Tensor expected = output(model, inputs);
  model->train();
  inputs.given.dropout_key = at::Tensor();
  inputs.given.first_residue = at::Tensor();
  EXPECT_TRUE(output(model, inputs).equal(expected));
}

TEST(ModelDropoutTest, WithoutKeys_TrainingIsRefused) {
  Inputs inputs;
  inputs.given.dropout_key = at::Tensor();
  LatentModel model = open_model(dropping(0.1));
  EXPECT_THROW(output(model, inputs), Error);
  model->eval();
  EXPECT_NO_THROW(output(model, inputs));
}

TEST(ModelDropoutTest, EverySampleHasItsOwn) {
  Inputs inputs;
  LatentModel model = open_model(dropping(0.3));
  const at::Tensor before = output(model, inputs);
  inputs.given.dropout_key[1] += 1;
  const at::Tensor after = output(model, inputs);
  EXPECT_TRUE(after[0].equal(before[0]));
  EXPECT_GT(worst(after[1], before[1]), 1e-3);
}

TEST(ModelDropoutTest, OfASample_IsTheSameAloneAndPadded) {
  const Inputs both;
  ModelConfig with = dropping(0.3);
  with.no_rope = true;  // which would turn the bias token by the padded length
  LatentModel model = open_model(with);
  const at::Tensor together = output(model, both);
  const Inputs second =
      both.changed([](const at::Tensor& tensor, std::int64_t) { return tensor.narrow(0, 1, 1); });
  EXPECT_LT(worst(output(model, second)[0], together[1]), 1e-4);
  const Inputs padded = both.changed([](const at::Tensor& tensor, std::int64_t residues) {
    if (residues < 0) return tensor;
    std::vector<std::int64_t> shape = tensor.sizes().vec();
    shape[static_cast<std::size_t>(residues)] = 3;
    return at::cat({tensor, at::zeros(shape, tensor.options())}, residues);
  });
  EXPECT_LT(worst(output(model, padded).narrow(2, 0, kLength), together), 1e-4);
}

// Bits of the output and of every gradient.
std::map<std::string, at::Tensor> gradients(const ModelConfig& config, bool autocast) {
  const Inputs inputs;
  LatentModel model = open_model(config);
  if (autocast) {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  const at::Tensor out = model->forward(inputs.x, inputs.t, inputs.given);
  if (autocast) {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
  out.square().mean().backward();
  std::map<std::string, at::Tensor> all{{"output", out.detach()}};
  for (const auto& item : model->named_parameters()) all[item.key()] = item.value().grad();
  return all;
}

struct Variant {
  const char* name;
  std::function<void(ModelConfig&)> change;
  bool autocast = false;
};

class GradCheckpointingTest : public ::testing::TestWithParam<Variant> {};

TEST_P(GradCheckpointingTest, GivesTheSameBits) {
  ModelConfig plain = config();
  GetParam().change(plain);
  ModelConfig recomputing = plain;
  recomputing.grad_checkpointing = true;
  const auto expected = gradients(plain, GetParam().autocast);
  for (const bool attention_alone : {false, true}) {
    recomputing.recompute_attention = attention_alone;
    const auto found = gradients(recomputing, GetParam().autocast);
    for (const auto& [name, tensor] : expected) {
      ASSERT_EQ(found.at(name).defined(), tensor.defined()) << name;
      if (tensor.defined()) {
        EXPECT_TRUE(found.at(name).equal(tensor)) << name << (attention_alone ? ", attention alone" : "");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Variants, GradCheckpointingTest,
    ::testing::Values(Variant{"plain", [](ModelConfig&) {}}, Variant{"autocast", [](ModelConfig&) {}, true},
                      Variant{"dropout", [](ModelConfig& c) { c.dropout = 0.3; }},
                      Variant{"dropout_autocast", [](ModelConfig& c) { c.dropout = 0.3; }, true},
                      Variant{"interleave_ipa", [](ModelConfig& c) { c.interleave_ipa = true; }},
                      Variant{"hyena", [](ModelConfig& c) { c.hyena = true; }},
                      Variant{"no_rope", [](ModelConfig& c) { c.no_rope = true; }},
                      Variant{"interpolation",
                              [](ModelConfig& c) { c.sim_condition = false, c.tps_condition = true; }}),
    [](const auto& info) { return info.param.name; });

// Sees how much a layer's graph keeps: without recomputation every layer adds to it.
TEST(GradCheckpointing, KeepsNoActivationsOfTheLayers) {
  const auto kept = [](bool recompute) {
    ModelConfig with = config();
    with.grad_checkpointing = recompute;
    LatentModel model = open_model(with);
    const Inputs inputs;
    const at::Tensor out = model->forward(inputs.x, inputs.t, inputs.given);
    std::set<torch::autograd::Node*> seen;
    std::vector<torch::autograd::Node*> todo = {out.grad_fn().get()};
    while (!todo.empty()) {
      torch::autograd::Node* node = todo.back();
      todo.pop_back();
      if (node == nullptr || !seen.insert(node).second) continue;
      for (const auto& edge : node->next_edges()) todo.push_back(edge.function.get());
    }
    return seen.size();
  };
  EXPECT_LT(kept(true) + 100, kept(false));
}

}  // namespace
}  // namespace mdgen::model
