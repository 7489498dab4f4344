#include "core/model/initialization.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/base/digest.h"
#include "core/model/latent_model.h"

namespace mdgen::model {
namespace {

ModelConfig config() {
  ModelConfig config;
  config.embed_dim = 64;
  config.num_layers = 2;
  config.mha_heads = 4;
  config.prepend_ipa = config.sim_condition = true;
  return config;
}

// Between them they have every tensor there is.
std::vector<ModelConfig> configs() {
  ModelConfig design = config();
  design.inpainting = design.design = design.interleave_ipa = true;
  design.latent_dim = 48;
  ModelConfig hyena = config();
  hyena.hyena = hyena.no_rope = true;
  return {config(), design, hyena};
}

std::map<std::string, at::Tensor> weights(std::uint64_t seed, const ModelConfig& of = config()) {
  LatentModel model(of);
  model->initialize(seed);
  std::map<std::string, at::Tensor> result;
  for (const auto& item : model->named_parameters()) result[item.key()] = item.value().detach().clone();
  return result;
}

bool is_one_of(const std::string& name, std::initializer_list<const char*> endings) {
  for (const char* ending : endings) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

// Written from the reference's description, not from initialization_of: what each tensor must look like.
struct Expected {
  double deviation = 0;
  double constant = 0;
  double bound = INFINITY;
};

Expected expected(const std::string& name, const at::Tensor& tensor) {
  if (name.ends_with("head_weights")) return {.constant = 0.5413248546129181};
  if (name.ends_with("ipa_norm.weight")) return {.constant = 1};
  if (name == "emb_to_latent.linear.weight" || name == "emb_to_latent.adaLN_modulation.1.weight") return {};
  if (name == "layers.0.adaLN_modulation.1.weight" || name == "layers.1.adaLN_modulation.1.weight") return {};
  if (name.ends_with("ipa.linear_out.weight")) return {};
  if (name.ends_with("filter_fn.bias")) return {.deviation = 1};
  if (name.ends_with(".freq")) return {.constant = 1};
  if (name.find("short_filter") != std::string::npos) {  // PyTorch's default for three taps
    return {.deviation = 1.0 / 3, .bound = std::sqrt(1.0 / 3)};
  }
  if (name.ends_with("bias")) return {};
  if (is_one_of(name, {"bias_k", "bias_v"})) return {.deviation = std::sqrt(1.0 / 64)};
  if (is_one_of(name, {"mask_to_emb.weight", "aatype_to_emb.weight"})) return {.deviation = 1};
  if (name.starts_with("t_embedder")) return {.deviation = 0.02};
  const double bound = std::sqrt(6.0 / static_cast<double>(tensor.size(0) + tensor.size(1)));
  return {.deviation = bound / std::sqrt(3.0), .bound = bound};
}

void check_all(const std::map<std::string, at::Tensor>& all) {
  for (const auto& [name, tensor] : all) {
    if (name.ends_with("pos_emb.z")) continue;
    const Expected want = expected(name, tensor);
    if (want.deviation == 0) {
      EXPECT_TRUE(at::equal(tensor, at::full_like(tensor, want.constant))) << name;
      continue;
    }
    const double count = static_cast<double>(tensor.numel());
    EXPECT_NEAR(tensor.mean().item<double>(), 0, 5 * want.deviation / std::sqrt(count)) << name;
    EXPECT_NEAR(tensor.std().item<double>() / want.deviation, 1, 5 / std::sqrt(2 * count)) << name;
    EXPECT_LE(tensor.abs().max().item<double>(), want.bound) << name;
    if (count > 1000 && std::isfinite(want.bound)) {
      EXPECT_GT(tensor.abs().max().item<double>(), 0.98 * want.bound) << name;
    }
  }
}

TEST(InitializationTest, EveryTensorStartsAsTheReferenceSays) {
  for (const ModelConfig& of : configs()) check_all(weights(137, of));
}

TEST(InitializationTest, TheFiltersPositionsAreNotDrawn) {
  const auto all = weights(1, configs().back());
  const at::Tensor z = all.at("layers.1.mha_t.filter_fn.pos_emb.z")[0];
  EXPECT_TRUE(at::equal(z.select(1, 0), at::linspace(0, 1, 50)));
  EXPECT_NEAR(z[49][2].item<double>(), -std::sin(1e-4 * 2 * M_PI * 49 / 50), 1e-10);
}

// A tensor's start depends on its name and shape alone, not on what the model has beside it.
TEST(InitializationTest, OptionsLeaveTheOtherTensorsAsTheyAre) {
  const auto plain = weights(137);
  for (const ModelConfig& of : configs()) {
    for (const auto& [name, tensor] : weights(137, of)) {
      const auto found = plain.find(name);
      if (found == plain.end() || found->second.sizes() != tensor.sizes()) continue;
      EXPECT_TRUE(at::equal(found->second, tensor)) << name;
    }
  }
}

TEST(InitializationTest, TheIpaLayersModulationIsNotZero) {
  const auto all = weights(1);
  EXPECT_GT(all.at("ipa_layers.0.adaLN_modulation.1.weight").abs().max().item<float>(), 0.05F);
  EXPECT_GT(all.at("ipa_layers.1.adaLN_modulation.1.weight").abs().max().item<float>(), 0.05F);
}

TEST(InitializationTest, IsAFunctionOfSeedAndName) {
  const auto first = weights(7);
  const auto again = weights(7);
  const auto other = weights(8);
  for (const auto& [name, tensor] : first) EXPECT_TRUE(at::equal(tensor, again.at(name))) << name;
  EXPECT_FALSE(at::equal(first.at("latent_to_emb.weight"), other.at("latent_to_emb.weight")));
  EXPECT_FALSE(at::equal(first.at("layers.0.fc1.weight"), first.at("layers.1.fc1.weight")));
}

// Runs that were begun with an earlier version go on, and are compared, from the same start.
TEST(InitializationTest, TheFirstModelsStartIsPinned) {
  std::string bytes;
  for (const auto& [name, tensor] : weights(137)) {
    bytes += name;
    bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  EXPECT_EQ(sha256_hex(bytes), "8520f9f0264be4f63eba9af8f066af76a1446cf09c5b167436f5da1f3a2365d3");
}

TEST(InitializationTest, ALargerTensorBeginsLikeASmallerOne) {
  const Initialization normal{Distribution::kNormal, 2};
  const at::Tensor small = at::empty({5});
  const at::Tensor large = at::empty({23});
  initialize(small, normal, 3, "x");
  initialize(large, normal, 3, "x");
  EXPECT_TRUE(at::equal(small, large.slice(0, 0, 5)));
}

// Half of all uniforms below the median, a sixth of normals beyond one deviation.
TEST(InitializationTest, DrawsHaveTheRightShape) {
  const at::Tensor uniform = at::empty({40000});
  initialize(uniform, {Distribution::kUniform, 3}, 1, "u");
  EXPECT_NEAR((uniform < 1.5).to(at::kDouble).mean().item<double>(), 0.75, 0.01);
  const at::Tensor normal = at::empty({40000});
  initialize(normal, {Distribution::kNormal, 3}, 1, "n");
  EXPECT_NEAR((normal.abs() > 3).to(at::kDouble).mean().item<double>(), 0.3173, 0.01);
}

}  // namespace
}  // namespace mdgen::model
