#include "core/model/hyena.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/base/error.h"

namespace mdgen::model {
namespace {

constexpr std::int64_t kDim = 6;
constexpr std::int64_t kLength = 16;

HyenaOperator open_operator(bool backwards) {
  HyenaOperator hyena(kDim, kLength, backwards);
  const torch::NoGradGuard no_grad;
  at::manual_seed(3);
  for (auto& item : hyena->named_parameters()) {
    if (!item.key().ends_with("pos_emb.z")) item.value().normal_(0, 0.6);
  }
  return hyena;
}

// The frames that output frame `frame` looks at.
std::set<std::int64_t> seen_by(HyenaOperator& hyena, std::int64_t frame) {
  at::manual_seed(5);
  at::Tensor x = at::randn({1, kLength, kDim}).requires_grad_();
  hyena(x).select(1, frame).sum().backward();
  const at::Tensor strength = x.grad().abs().amax({0, 2});
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < kLength; ++i) {
    if (strength[i].item<double>() > 1e-4 * strength.max().item<double>()) seen.insert(i);
  }
  return seen;
}

std::set<std::int64_t> range(std::int64_t first, std::int64_t last) {
  std::set<std::int64_t> all;
  for (std::int64_t i = first; i <= last; ++i) all.insert(i);
  return all;
}

TEST(LongConvolutionTest, IsTheSumItSays) {
  const at::Tensor u = at::randn({2, 3, 5}, at::kDouble);
  const at::Tensor taps = at::randn({3, 5}, at::kDouble);
  at::Tensor forwards = at::zeros_like(u);
  at::Tensor backwards = at::zeros_like(u);
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 5; ++j) {
      if (j <= i) forwards.select(2, i) += taps.select(1, i - j) * u.select(2, j);
      if (j >= i) backwards.select(2, i) += taps.select(1, 4 - (j - i)) * u.select(2, j);
    }
  }
  EXPECT_TRUE(at::allclose(long_convolution(u, taps, false), forwards, 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(long_convolution(u, taps, true), backwards, 1e-12, 1e-12));
}

TEST(LongConvolutionTest, HalfPrecisionIsSummedInFloat) {
  const at::Tensor u = at::randn({1, 2, 40}).to(at::kBFloat16);
  const at::Tensor taps = at::randn({2, 40});
  const at::Tensor y = long_convolution(u, taps, false);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::allclose(y, long_convolution(u.to(at::kFloat), taps, false)));
}

TEST(HyenaTest, AFrameSeesItselfAndThePast) {
  HyenaOperator hyena = open_operator(false);
  EXPECT_EQ(seen_by(hyena, 8), range(0, 8));
  EXPECT_EQ(seen_by(hyena, 0), range(0, 0));
}

// B18: the short filter looks two frames back, the long one only ahead.
TEST(HyenaTest, AsTheReferenceAFrameSeesTheFuture) {
  HyenaOperator hyena = open_operator(true);
  EXPECT_EQ(seen_by(hyena, 8), range(6, 15));
}

TEST(HyenaTest, AShorterSampleGivesTheBeginningOfALongerOne) {
  HyenaOperator hyena = open_operator(false);
  const torch::NoGradGuard no_grad;
  const at::Tensor x = at::randn({2, kLength, kDim});
  EXPECT_TRUE(at::allclose(hyena(x.narrow(1, 0, 7)), hyena(x).narrow(1, 0, 7), 1e-4, 1e-5));
}

TEST(HyenaTest, RefusesMoreFramesThanItsFilterHasTaps) {
  HyenaOperator hyena = open_operator(false);
  EXPECT_THROW(hyena(at::zeros({1, kLength + 1, kDim})), Error);
}

TEST(HyenaTest, ThreeNamesHoldOneTensorOfFrequencies) {
  HyenaOperator hyena = open_operator(false);
  const auto parameters = hyena->named_parameters();
  const at::Tensor freq = parameters["filter_fn.implicit_filter.1.freq"];
  EXPECT_TRUE(freq.is_same(parameters["filter_fn.implicit_filter.3.freq"]));
  EXPECT_TRUE(freq.is_same(parameters["filter_fn.implicit_filter.5.freq"]));
}

TEST(HyenaTest, TensorsHaveTheReferencesNamesAndShapes) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  const HyenaOperator hyena(kDim, kLength, false);
  for (const auto& item : hyena->named_parameters()) shapes[item.key()] = item.value().sizes().vec();
  for (const auto& item : hyena->named_buffers()) shapes["buffer " + item.key()] = item.value().sizes().vec();
  const std::string filter = "filter_fn.implicit_filter.";
  EXPECT_EQ(shapes, (std::map<std::string, std::vector<std::int64_t>>{
                        {"in_proj.weight", {18, 6}},
                        {"in_proj.bias", {18}},
                        {"out_proj.weight", {6, 6}},
                        {"out_proj.bias", {6}},
                        {"short_filter.weight", {18, 1, 3}},
                        {"short_filter.bias", {18}},
                        {"filter_fn.bias", {6}},
                        {"filter_fn.pos_emb.z", {1, 16, 3}},
                        {"buffer filter_fn.pos_emb.t", {1, 16, 1}},
                        {filter + "0.weight", {64, 3}},
                        {filter + "0.bias", {64}},
                        {filter + "1.freq", {1, 64}},
                        {filter + "2.weight", {64, 64}},
                        {filter + "2.bias", {64}},
                        {filter + "3.freq", {1, 64}},
                        {filter + "4.weight", {64, 64}},
                        {filter + "4.bias", {64}},
                        {filter + "5.freq", {1, 64}},
                        {filter + "6.weight", {6, 64}},
                        {"buffer filter_fn.modulation.deltas", {1, 1, 6}}}));
}

TEST(HyenaTest, PositionsGoOnceRoundTheCircleVerySlowly) {
  const at::Tensor z = filter_positions(5);
  for (int i = 0; i < 5; ++i) {
    const double angle = 1e-4 * 2 * M_PI * i / 5;
    EXPECT_NEAR(z[0][i][0].item<double>(), i / 4.0, 1e-7);
    EXPECT_NEAR(z[0][i][1].item<double>(), std::cos(angle), 1e-7);
    EXPECT_NEAR(z[0][i][2].item<double>(), -std::sin(angle), 1e-10);
  }
}

}  // namespace
}  // namespace mdgen::model
