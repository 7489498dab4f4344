#include "core/model/ipa.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mdgen::model {
namespace {

constexpr IpaSizes kSizes{.dim = 10, .heads = 2, .head_dim = 4, .qk_points = 3, .v_points = 5};
constexpr std::int64_t kLength = 6;

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

at::Tensor random_rotations(at::IntArrayRef batch) {
  std::vector<std::int64_t> shape = batch.vec();
  shape.insert(shape.end(), {3, 3});
  const auto [q, r] = at::linalg_qr(at::randn(shape, at::kDouble));
  return q * at::linalg_det(q).unsqueeze(-1).unsqueeze(-1);
}

struct Setting {
  Setting() {
    const torch::NoGradGuard no_grad;
    at::manual_seed(5);
    ipa->to(at::kDouble);
    for (auto& item : ipa->named_parameters()) item.value().normal_(0, 0.4);
    s = at::randn({2, kLength, kSizes.dim}, at::kDouble);
    frames = {random_rotations({2, kLength}), 4 * at::randn({2, kLength, 3}, at::kDouble)};
  }
  at::Tensor run(const protein::Rigid& where) { return ipa(s, where, ipa_pair_bias(mask)); }

  InvariantPointAttention ipa{kSizes};
  at::Tensor s, mask = at::ones({2, kLength}, at::kDouble);
  protein::Rigid frames;
};

// Algorithm 22 pair by pair, for one sample: everything materialised, nothing rearranged.
class ByHand {
 public:
  // `factors` (H, L, L), where given, multiply the probabilities.
  ByHand(const torch::nn::Module& module, const at::Tensor& s, const protein::Rigid& frames,
         const at::Tensor& factors = {})
      : parameters_(module.named_parameters()), s_(s), frames_(frames), factors_(factors) {}

  at::Tensor run(const at::Tensor& mask) const {
    std::vector<at::Tensor> rows;
    for (std::int64_t i = 0; i < s_.size(0); ++i) rows.push_back(row(i, mask));
    return at::linear(at::stack(rows), parameters_["linear_out.weight"], parameters_["linear_out.bias"]);
  }

 private:
  at::Tensor linear(const char* name, std::int64_t i) const {
    const std::string base = name;
    return at::linear(s_[i], parameters_[base + ".weight"], parameters_[base + ".bias"]);
  }
  // Point p of head h in global coordinates: the layer gives all x, then all y, then all z.
  at::Tensor point(const char* name, std::int64_t i, std::int64_t h, std::int64_t p, std::int64_t of) const {
    const at::Tensor local = linear(name, i).view({3, kSizes.heads, of}).select(1, h).select(1, p);
    return at::mv(frames_.rots[i], local) + frames_.trans[i];
  }
  at::Tensor logit(std::int64_t i, std::int64_t j, std::int64_t h) const {
    const std::int64_t c = kSizes.head_dim;
    const at::Tensor q = linear("linear_q", i).view({kSizes.heads, c})[h];
    const at::Tensor k = linear("linear_kv", j).view({kSizes.heads, 2 * c})[h].slice(0, 0, c);
    const double w = std::sqrt(2.0 / (9.0 * kSizes.qk_points)) * std::sqrt(1.0 / 3);
    const at::Tensor gamma = at::softplus(parameters_["head_weights"][h]);
    at::Tensor total = q.dot(k) * std::sqrt(1.0 / (3 * c));
    for (std::int64_t p = 0; p < kSizes.qk_points; ++p) {
      const at::Tensor gap = point("linear_q_points", i, h, p, kSizes.qk_points) -
                             point("linear_kv_points", j, h, p, kSizes.qk_points + kSizes.v_points);
      total = total - 0.5 * w * gamma * gap.dot(gap);
    }
    return total;
  }
  at::Tensor row(std::int64_t i, const at::Tensor& mask) const {
    const std::int64_t length = s_.size(0);
    std::vector<at::Tensor> scalars, x, y, z, norms;
    for (std::int64_t h = 0; h < kSizes.heads; ++h) {
      std::vector<at::Tensor> logits;
      for (std::int64_t j = 0; j < length; ++j) {
        logits.push_back(logit(i, j, h) + 1e5 * (mask[i] * mask[j] - 1));
      }
      at::Tensor weights = at::softmax(at::stack(logits), 0);
      if (factors_.defined()) weights = weights * factors_[h][i];
      at::Tensor scalar = at::zeros({kSizes.head_dim}, at::kDouble);
      for (std::int64_t j = 0; j < length; ++j) {
        const at::Tensor kv = linear("linear_kv", j).view({kSizes.heads, 2 * kSizes.head_dim})[h];
        scalar = scalar + weights[j] * kv.slice(0, kSizes.head_dim);
      }
      scalars.push_back(scalar);
      for (std::int64_t p = 0; p < kSizes.v_points; ++p) {
        at::Tensor global = at::zeros({3}, at::kDouble);
        for (std::int64_t j = 0; j < length; ++j) {
          global = global + weights[j] * point("linear_kv_points", j, h, kSizes.qk_points + p,
                                               kSizes.qk_points + kSizes.v_points);
        }
        const at::Tensor local = at::mv(frames_.rots[i].t(), global - frames_.trans[i]);
        x.push_back(local[0]);
        y.push_back(local[1]);
        z.push_back(local[2]);
        norms.push_back((local.dot(local) + 1e-8).sqrt());
      }
    }
    return at::cat({at::cat(scalars), at::stack(x), at::stack(y), at::stack(z), at::stack(norms)});
  }

  torch::OrderedDict<std::string, at::Tensor> parameters_;
  at::Tensor s_;
  protein::Rigid frames_;
  at::Tensor factors_;
};

TEST(IpaTest, EqualsItsDefinition) {
  const torch::NoGradGuard no_grad;
  Setting setting;
  setting.mask[1].slice(0, 4).zero_();
  const at::Tensor y = setting.run(setting.frames);
  for (int n = 0; n < 2; ++n) {
    const ByHand by_hand(*setting.ipa, setting.s[n], {setting.frames.rots[n], setting.frames.trans[n]});
    EXPECT_LT(worst(y[n], by_hand.run(setting.mask[n])), 1e-10) << n;
  }
}

TEST(IpaTest, DropoutMultipliesTheProbabilities) {
  const torch::NoGradGuard no_grad;
  Setting setting;
  const Dropout dropout(0.4, at::tensor({5, 9}, at::kLong), at::tensor({0, 2}, at::kLong));
  const at::Tensor factors =
      dropout.apply(at::ones({2, kSizes.heads, kLength, kLength}, at::kDouble), Along::kResidues);
  const at::Tensor y = setting.ipa(setting.s, setting.frames, ipa_pair_bias(setting.mask), dropout);
  for (std::int64_t n = 0; n < 2; ++n) {
    const ByHand by_hand(*setting.ipa, setting.s[n], {setting.frames.rots[n], setting.frames.trans[n]},
                         factors[n]);
    EXPECT_LT(worst(y[n], by_hand.run(setting.mask[n])), 1e-10) << n;
  }
}

TEST(IpaTest, DoesNotChangeWhenTheProteinIsMoved) {
  const torch::NoGradGuard no_grad;
  Setting setting;
  const protein::Rigid motion{random_rotations({2, 1}), 30 * at::randn({2, 1, 3}, at::kDouble)};
  const protein::Rigid moved = protein::compose(motion, setting.frames);
  EXPECT_LT(worst(setting.run(setting.frames), setting.run(moved)), 1e-9);
}

TEST(IpaTest, PaddingHasNoInfluenceOnRealResidues) {
  const torch::NoGradGuard no_grad;
  Setting setting;
  setting.mask.slice(1, 4).zero_();
  const at::Tensor before = setting.run(setting.frames).slice(1, 0, 4);
  setting.s.slice(1, 4).fill_(7);
  setting.frames.trans.slice(1, 4).fill_(1);
  EXPECT_LT(worst(setting.run(setting.frames).slice(1, 0, 4), before), 1e-12);
}

TEST(IpaTest, GradientsEqualFiniteDifferences) {
  Setting setting;
  const at::Tensor direction = at::randn({2, kLength, kSizes.dim}, at::kDouble);
  const auto objective = [&] { return (setting.run(setting.frames) * direction).sum(); };
  objective().backward();
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (auto& item : setting.ipa->named_parameters()) {
    at::Tensor value = item.value().flatten()[0];
    const double before = value.item<double>();
    value.fill_(before + kStep);
    const double above = objective().item<double>();
    value.fill_(before - kStep);
    const double below = objective().item<double>();
    value.fill_(before);
    const double expected = (above - below) / (2 * kStep);
    EXPECT_NEAR(item.value().grad().flatten()[0].item<double>(), expected, 1e-5 * (1 + std::abs(expected)))
        << item.key();
  }
}

}  // namespace
}  // namespace mdgen::model
