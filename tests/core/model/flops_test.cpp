#include "core/model/flops.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/profiler_legacy.h>
#include <torch/torch.h>

#include <functional>
#include <numeric>
#include <string_view>
#include <vector>

#include "core/model/latent_model.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kBatch = 2;
constexpr std::int64_t kFrames = 3;
constexpr std::int64_t kLength = 5;

ModelConfig tiny() {
  ModelConfig config;
  config.embed_dim = 4;
  config.num_layers = 1;
  config.mha_heads = 2;
  config.ipa_heads = 1;
  config.ipa_head_dim = 2;
  config.ipa_qk = config.ipa_v = 1;
  return config;
}

// 1 sample of 2 frames and 3 residues, 4 channels, 21 latents; by hand:
//   latents and conditioning 2·6·(21+21)·4 = 2016, time 2·(256·4 + 4·4) = 2080
//   modulation 2·4·36 = 288, along residues 4·2·6·4·4 + 2·2·6·4·(3+1) = 1152, along frames 768 + 288 = 1056,
//   feed-forward 2·(2·6·4·16) = 1536, final 2·4·8 + 2·6·4·21 = 1072
constexpr double kByHand = 2016 + 2080 + 288 + 1152 + 1056 + 1536 + 1072;
// The prepended layer, on 3 tokens: modulation 192, attention 384 + 192, feed-forward 768; IPA: projections
// 2·3·4·(6+9) + 2·3·6·4 = 504, points into the frames and back 2·3·9·4 = 216, pairs 2·3·3·(2+3+2+3) = 180
constexpr double kIpaByHand = 192 + 384 + 192 + 768 + 504 + 216 + 180;

TEST(FlopsTest, SmallModels_AsByHand) {
  ModelConfig config = tiny();
  EXPECT_EQ(forward_flops(config, {1, 2, 3}), kByHand);
  config.prepend_ipa = config.sim_condition = true;
  EXPECT_EQ(forward_flops(config, {1, 2, 3}), kByHand + kIpaByHand);
  EXPECT_EQ(training_flops(config, {1, 2, 3}), 3 * (kByHand + kIpaByHand));
  config.grad_checkpointing = true;
  EXPECT_EQ(training_flops(config, {1, 2, 3}), 3 * (kByHand + kIpaByHand) + 288 + 1152 + 1056 + 1536);
  config.recompute_attention = true;  // in the prepended layer, too
  EXPECT_EQ(training_flops(config, {1, 2, 3}),
            3 * (kByHand + kIpaByHand) + 1152 + 1056 + 384 + 192 + 504 + 216 + 180);
}

TEST(FlopsTest, SamplesCountAlike) {
  ModelConfig config = tiny();
  config.prepend_ipa = config.tps_condition = true;
  config.latent_dim = 28;
  EXPECT_DOUBLE_EQ(training_flops(config, {6, 2, 3}), 6 * training_flops(config, {1, 2, 3}));
}

// --- What LibTorch is really asked for: the shapes of every product, as its profiler sees them. ---

using Shape = std::vector<std::int64_t>;
using Shapes = std::vector<Shape>;

double product(const Shape& a, std::int64_t columns) {
  return 2.0 * static_cast<double>(columns) *
         static_cast<double>(std::accumulate(a.begin(), a.end(), std::int64_t{1}, std::multiplies<>()));
}

double operations_of(const std::string_view name, const Shapes& shapes) {
  if (name == "aten::mm" || name == "aten::bmm") return product(shapes[0], shapes[1].back());
  if (name == "aten::addmm" || name == "aten::baddbmm") return product(shapes[1], shapes[2].back());
  if (name == "aten::_cdist_forward") return product(shapes[0], shapes[1].end()[-2]);
  if (name == "aten::_cdist_backward")  // (grad, x1, x2, p, cdist): to one of the two
    return product(shapes[1], shapes[2].end()[-2]);
  // q and k (..., S, C): every channel meets every key and the token, in the scores and in the values;
  // backward in the four gradients of these.
  if (name == "mdgen::token_attention") return 2 * product(shapes[0], shapes[1].end()[-2] + 1);
  if (name == "mdgen::token_attention_backward") return 4 * product(shapes[0], shapes[1].end()[-2] + 1);
  return 0;
}

double counted(const std::function<void()>& body) {
  namespace profiler = torch::autograd::profiler;
  profiler::enableProfilerLegacy(
      torch::profiler::impl::ProfilerConfig(torch::profiler::impl::ProfilerState::CPU, true));
  body();
  double operations = 0;
  for (const auto& events : profiler::disableProfilerLegacy())
    for (const auto& event : events)
      if (event.kindStr() == "push") operations += operations_of(event.name(), event.shapes());
  return operations;
}

ModelConfig small() {
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

struct Measured {
  double forward = 0;
  double backward = 0;
};

Measured measure(const ModelConfig& config) {
  at::manual_seed(2);
  LatentModel model(config);
  const at::Tensor x = at::randn({kBatch, kFrames, kLength, config.latent_dim});
  Conditioning given;
  given.mask = at::ones({kBatch, kFrames, kLength});
  given.start_frames = {at::eye(3).expand({kBatch, kLength, 3, 3}), at::randn({kBatch, kLength, 3})};
  given.end_frames = given.start_frames;
  given.x_cond =
      at::zeros({kBatch, kFrames, kLength, config.latent_dim - (config.design ? kSequenceChannels : 0)});
  given.x_cond_mask = at::zeros({kBatch, kFrames, kLength}, at::kLong);
  given.aatype = at::randint(0, 20, {kBatch, kLength});
  at::Tensor out;
  Measured measured;
  measured.forward = counted([&] { out = model->forward(x, at::tensor({0.2F, 0.9F}), given); });
  measured.backward = counted([&] { out.sum().backward(); });
  return measured;
}

void expect_as_computed(const ModelConfig& config) {
  const double forward = forward_flops(config, {kBatch, kFrames, kLength});
  const Measured measured = measure(config);
  EXPECT_NEAR(measured.forward / forward, 1.0, 1e-9);
  // Less than twice: the gradients to the inputs of the first products are not needed.
  EXPECT_GT(measured.backward / forward, 1.8);
  EXPECT_LE(measured.backward / forward, 2.0 + 1e-9);
}

TEST(FlopsTest, Simulation_AsLibTorchIsAsked) {
  ModelConfig config = small();
  config.prepend_ipa = config.sim_condition = true;
  expect_as_computed(config);
}

TEST(FlopsTest, BothEnds_AsLibTorchIsAsked) {
  ModelConfig config = small();
  config.prepend_ipa = config.tps_condition = true;
  config.latent_dim = 28;
  expect_as_computed(config);
}

TEST(FlopsTest, InterleavedIpa_AsLibTorchIsAsked) {
  ModelConfig config = small();
  config.interleave_ipa = config.sim_condition = true;
  expect_as_computed(config);
}

TEST(FlopsTest, Design_AsLibTorchIsAsked) {
  ModelConfig config = small();
  config.prepend_ipa = config.sim_condition = config.design = true;
  config.latent_dim = 41;
  expect_as_computed(config);
}

TEST(FlopsTest, SequenceModel_AsLibTorchIsAsked) {
  ModelConfig config = small();
  config.prepend_ipa = config.mpnn = config.design = true;
  config.latent_dim = 41;
  expect_as_computed(config);
}

}  // namespace
}  // namespace mdgen::model
