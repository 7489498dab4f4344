#include "core/model/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/kernels/token_attention.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kDim = 12;
constexpr std::int64_t kHeads = 3;
constexpr std::int64_t kHeadDim = kDim / kHeads;

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

void randomize(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  at::manual_seed(11);
  for (auto& item : module.named_parameters()) item.value().normal_(0, 0.5);
}

// One position's vector of one head, turned by hand.
at::Tensor rotated(const at::Tensor& vector, std::int64_t position) {
  at::Tensor result = vector.clone();
  for (std::int64_t i = 0; i < kHeadDim / 2; ++i) {
    const double angle =
        static_cast<double>(position) * std::pow(10000.0, -2.0 * static_cast<double>(i) / kHeadDim);
    const at::Tensor a = vector[i];
    const at::Tensor b = vector[i + kHeadDim / 2];
    result[i] = a * std::cos(angle) - b * std::sin(angle);
    result[i + kHeadDim / 2] = b * std::cos(angle) + a * std::sin(angle);
  }
  return result;
}

// The definition, query by query and head by head: keys are the real positions and the bias token. `factors`
// (H, S, S + 1), where given, multiply the probabilities.
at::Tensor attention_by_hand(const torch::nn::Module& attention, const at::Tensor& x, const at::Tensor& mask,
                             const at::Tensor& factors = {}) {
  const auto p = attention.named_parameters();
  const auto project = [&](const char* name) {
    return at::linear(x, p[std::string("attn.") + name + ".weight"],
                      p[std::string("attn.") + name + ".bias"]);
  };
  const std::int64_t length = x.size(0);
  const at::Tensor q = project("q_proj").view({length, kHeads, kHeadDim});
  const at::Tensor k =
      at::cat({project("k_proj"), p["attn.bias_k"].view({1, kDim})}).view({length + 1, kHeads, kHeadDim});
  const at::Tensor v =
      at::cat({project("v_proj"), p["attn.bias_v"].view({1, kDim})}).view({length + 1, kHeads, kHeadDim});
  at::Tensor result = at::zeros({length, kHeads, kHeadDim});
  for (std::int64_t head = 0; head < kHeads; ++head) {
    for (std::int64_t i = 0; i < length; ++i) {
      std::vector<at::Tensor> weights, values, kept;
      for (std::int64_t j = 0; j <= length; ++j) {
        if (j < length && mask[j].item<float>() == 0) continue;
        const at::Tensor score = rotated(q[i][head], i).dot(rotated(k[j][head], j)) / std::sqrt(kHeadDim);
        weights.push_back(score.exp());
        values.push_back(v[j][head]);
        kept.push_back(factors.defined() ? factors[head][i][j] : at::ones({}));
      }
      const at::Tensor w = at::stack(weights);
      result[i][head] = at::matmul(w / w.sum() * at::stack(kept), at::stack(values));
    }
  }
  return at::linear(result.flatten(1), p["attn.out_proj.weight"], p["attn.out_proj.bias"]);
}

TEST(AttentionTest, EqualsItsDefinition) {
  const torch::NoGradGuard no_grad;
  AttentionWithRope attention(kDim, kHeads);
  randomize(*attention);
  const at::Tensor x = at::randn({2, 2, 5, kDim});
  at::Tensor mask = at::ones({4, 5});
  mask[1].slice(0, 3).zero_();
  mask[3].zero_();  // nothing but the bias token to look at
  const at::Tensor y = attention(x, attention_keys(mask)).flatten(0, 1);
  for (std::int64_t n = 0; n < 4; ++n) {
    EXPECT_LT(worst(y[n], attention_by_hand(*attention, x.flatten(0, 1)[n], mask[n])), 2e-6) << n;
  }
}

// PyTorch's own attention, to which the reference hands one sample x (S, C) when there is no rotary
// embedding. `added` (S) is added to the scores of the keys.
at::Tensor pytorch_attention(const torch::nn::Module& attention, const at::Tensor& x,
                             const at::Tensor& added) {
  const auto p = attention.named_parameters();
  const auto of = [&](const std::string& name) { return p["attn." + name]; };
  const auto options =
      torch::nn::functional::MultiheadAttentionForwardFuncOptions(
          kDim, kHeads, at::Tensor(), at::cat({of("q_proj.bias"), of("k_proj.bias"), of("v_proj.bias")}),
          of("bias_k"), of("bias_v"), /*add_zero_attn=*/false, /*dropout_p=*/0, of("out_proj.weight"),
          of("out_proj.bias"))
          .training(false)
          .use_separate_proj_weight(true)
          .q_proj_weight(of("q_proj.weight"))
          .k_proj_weight(of("k_proj.weight"))
          .v_proj_weight(of("v_proj.weight"))
          .attn_mask(added.expand({x.size(0), -1}));
  const at::Tensor tokens = x.unsqueeze(1);
  return std::get<0>(torch::nn::functional::multi_head_attention_forward(tokens, tokens, tokens, options))
      .squeeze(1);
}

TEST(AttentionTest, WithoutRopeEqualsPyTorchs) {
  const torch::NoGradGuard no_grad;
  AttentionWithRope attention(kDim, kHeads, /*rope=*/false);
  EXPECT_TRUE(attention->named_buffers().is_empty());
  randomize(*attention);
  const at::Tensor x = at::randn({1, 3, 5, kDim});
  at::Tensor mask = at::ones({3, 5});
  mask[1].slice(0, 3).zero_();
  mask[2].slice(0, 1).zero_();
  const at::Tensor hiding = at::where(mask == 1, 0.0F, -std::numeric_limits<float>::infinity());
  const at::Tensor hidden = attention(x, attention_keys(mask))[0];
  const at::Tensor attended = attention(x, attention_keys(mask, /*attends_padding=*/true))[0];
  for (std::int64_t n = 0; n < 3; ++n) {
    EXPECT_LT(worst(hidden[n], pytorch_attention(*attention, x[0][n], hiding[n])), 2e-6) << n;
    // The reference's float mask.
    EXPECT_LT(worst(attended[n], pytorch_attention(*attention, x[0][n], 1 - mask[n])), 2e-6) << n;
  }
}

TEST(AttentionTest, DropoutMultipliesTheProbabilities) {
  const torch::NoGradGuard no_grad;
  AttentionWithRope attention(kDim, kHeads);
  randomize(*attention);
  const at::Tensor x = at::randn({2, 2, 5, kDim});
  at::Tensor mask = at::ones({4, 5});
  mask[1].slice(0, 3).zero_();
  const Dropout dropout(0.4, at::tensor({5, 9}, at::kLong), at::tensor({0, 2}, at::kLong));
  for (const Along along : {Along::kResidues, Along::kFrames}) {
    const at::Tensor factors = dropout.apply(at::ones({4, kHeads, 5, 6}), along);
    const at::Tensor y = attention(x, attention_keys(mask), dropout, along).flatten(0, 1);
    for (std::int64_t n = 0; n < 4; ++n) {
      EXPECT_LT(worst(y[n], attention_by_hand(*attention, x.flatten(0, 1)[n], mask[n], factors[n])), 2e-6)
          << n;
    }
  }
}

TEST(AttentionTest, TakesTransposedViews) {
  const torch::NoGradGuard no_grad;
  AttentionWithRope attention(kDim, kHeads);
  randomize(*attention);
  const at::Tensor x = at::randn({2, 5, 3, kDim});
  const AttentionKeys keys = attention_keys(at::ones({6, 5}));
  const at::Tensor view = x.transpose(1, 2);
  EXPECT_LT(worst(attention(view, keys), attention(view.contiguous(), keys)), 1e-6);
}

TEST(AttentionTest, HiddenKeysHaveNoInfluence) {
  const torch::NoGradGuard no_grad;
  AttentionWithRope attention(kDim, kHeads);
  randomize(*attention);
  at::Tensor x = at::randn({1, 1, 6, kDim});
  at::Tensor mask = at::ones({1, 6});
  mask[0].slice(0, 4).zero_();
  const at::Tensor before = attention(x, attention_keys(mask)).slice(2, 0, 4);
  x.slice(2, 4).fill_(100);
  EXPECT_TRUE(at::equal(attention(x, attention_keys(mask)).slice(2, 0, 4), before));
}

TEST(RotaryTest, ScoresDependOnTheDistanceAlone) {
  const at::Tensor inv_freq = RotaryEmbedding(kHeadDim)->inv_freq().to(at::kDouble);
  const at::Tensor x = at::randn({1, kHeadDim}, at::kDouble).expand({8, kHeadDim});
  const at::Tensor at_start = kernels::rotate_by_position(x, inv_freq);
  const at::Tensor later = kernels::rotate_by_position(x, inv_freq, 100);
  EXPECT_LT(worst(at::matmul(at_start, at_start.t()), at::matmul(later, later.t())), 1e-10);
}

TEST(AttentionKeysTest, HidesMaskedKeysAndNeverTheBiasToken) {
  const at::Tensor bias = attention_keys(at::tensor({1.0F, 0.0F}).view({1, 2})).bias;
  EXPECT_EQ(bias.sizes(), at::IntArrayRef({1, 1, 1, 3}));
  EXPECT_EQ(bias.flatten()[0].item<float>(), 0);
  EXPECT_TRUE(std::isinf(bias.flatten()[1].item<float>()));
  EXPECT_EQ(bias.flatten()[2].item<float>(), 0);
}

}  // namespace
}  // namespace mdgen::model
