#include "core/model/embeddings.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mdgen::model {
namespace {

TEST(SincosTableTest, HoldsSinesThenCosines) {
  const at::Tensor table = sincos_table(50, 6);
  ASSERT_EQ(table.sizes(), at::IntArrayRef({50, 6}));
  for (const int position : {0, 1, 49}) {
    for (int i = 0; i < 3; ++i) {
      const double angle = position * std::pow(10000.0, -i / 3.0);
      EXPECT_NEAR(table[position][i].item<float>(), std::sin(angle), 1e-7);
      EXPECT_NEAR(table[position][3 + i].item<float>(), std::cos(angle), 1e-7);
    }
  }
}

TEST(TimestepEmbedderTest, FeedsCosinesThenSines) {
  const torch::NoGradGuard no_grad;
  TimestepEmbedder embedder(4);
  auto p = embedder->named_parameters();
  for (auto& item : p) item.value().zero_();
  // Channel 0 passes frequency 0's cosine on, channel 1 frequency 64's sine.
  p["mlp.0.weight"][0][0] = 1;
  p["mlp.0.weight"][1][128 + 64] = 1;
  for (int i = 0; i < 4; ++i) p["mlp.2.weight"][i][i] = 1;
  const at::Tensor out = embedder(at::tensor({37.5F}));
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  EXPECT_NEAR(out[0][0].item<float>(), silu(std::cos(37.5)), 1e-5);
  EXPECT_NEAR(out[0][1].item<float>(), silu(std::sin(37.5 * std::pow(10000.0, -64.0 / 128))), 1e-6);
  EXPECT_EQ(out[0][2].item<float>(), 0);
}

}  // namespace
}  // namespace mdgen::model
