#include "core/model/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/base/error.h"

namespace mdgen::model {
namespace {

at::Tensor longs(const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong); }

Dropout dropout_of(double rate, std::int64_t key, std::int64_t first = 0) {
  return {rate, longs({key}), longs({first})};
}

// (M, H, S, K) of one sample: 1 where kept.
at::Tensor kept(const Dropout& dropout, const std::vector<std::int64_t>& shape,
                Along along = Along::kResidues) {
  return dropout.apply(at::ones(shape), along).ne(0).to(at::kDouble);
}

double correlation(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.flatten() - a.mean();
  const at::Tensor y = b.flatten() - b.mean();
  return ((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt()).item<double>();
}

TEST(DropoutTest, ByDefaultDropsNothing) {
  const at::Tensor x = at::randn({2, 3, 4, 5});
  EXPECT_FALSE(Dropout().active());
  EXPECT_TRUE(Dropout().of(3).apply(x, Along::kFrames).is_same(x));
  EXPECT_FALSE(Dropout(0, {}, {}).active()) << "rate 0 needs no keys";
}

TEST(DropoutTest, RateOneDropsAll_AndItsGradientIsZero) {
  const at::Tensor x = at::rand({1, 2, 3, 4}).requires_grad_(true);
  const at::Tensor y = dropout_of(1, 5).apply(x, Along::kResidues);
  y.sum().backward();
  EXPECT_EQ(y.abs().sum().item<double>(), 0);
  EXPECT_EQ(x.grad().abs().sum().item<double>(), 0);
}

TEST(DropoutTest, WhatIsKeptIsScaled_SoThatTheMeanStays) {
  const at::Tensor y = dropout_of(0.2, 5).apply(at::ones({8, 4, 32, 33}), Along::kResidues);
  EXPECT_TRUE(at::logical_or(y == 0, (y - 1.25).abs() < 1e-6).all().item<bool>());
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.01);
}

TEST(DropoutTest, MissingOrMisshapenKeysAreRefused) {
  EXPECT_THROW(Dropout(0.1, {}, longs({0})), Error);
  EXPECT_THROW(Dropout(0.1, longs({1, 2}), longs({0})), Error);
  EXPECT_THROW(Dropout(0.1, at::ones({1}), longs({0})), Error);
}

// Binomial: five standard deviations over 2^20 elements.
class DropoutRateTest : public ::testing::TestWithParam<double> {};
TEST_P(DropoutRateTest, IsThatOfTheElements) {
  const double rate = GetParam();
  const at::Tensor keep = kept(dropout_of(rate, 99), {16, 16, 64, 64});
  const double deviation = std::sqrt(rate * (1 - rate) / static_cast<double>(keep.numel()));
  EXPECT_NEAR(keep.mean().item<double>(), 1 - rate, 5 * deviation);
}
INSTANTIATE_TEST_SUITE_P(Rates, DropoutRateTest, ::testing::Values(0.001, 0.1, 0.5, 0.9));

// Patterns of eight neighbouring elements along one axis are equally frequent at rate 1/2: chi-square with
// 255 degrees of freedom, mean 255, standard deviation sqrt(510).
class DropoutAxisTest : public ::testing::TestWithParam<int> {};
TEST_P(DropoutAxisTest, NeighboursAreIndependent) {
  const at::Tensor keep = kept(dropout_of(0.5, 12345), {64, 32, 64, 64}).to(at::kLong);
  const at::Tensor bits = keep.movedim(GetParam(), -1).contiguous().view({-1, 8});
  const at::Tensor patterns = (bits * at::pow(2, at::arange(8))).sum(1);
  const at::Tensor counts = at::bincount(patterns, {}, 256).to(at::kDouble);
  const double expected = static_cast<double>(bits.size(0)) / 256;
  const double chi_square = ((counts - expected).square() / expected).sum().item<double>();
  EXPECT_NEAR(chi_square, 255, 5 * std::sqrt(510));
}
INSTANTIATE_TEST_SUITE_P(FrameHeadQueryKey, DropoutAxisTest, ::testing::Values(0, 1, 2, 3));

TEST(DropoutTest, SamplesPartsAndAxesAreIndependent) {
  const std::vector<std::int64_t> shape = {8, 8, 64, 64};
  const Dropout base = dropout_of(0.5, 7);
  const std::map<std::string, at::Tensor> streams = {
      {"the next key", kept(dropout_of(0.5, 8), shape)},
      {"a key that differs in its high half", kept(dropout_of(0.5, 7 + (std::int64_t{1} << 40)), shape)},
      {"a part", kept(base.of(0), shape)},
      {"another part", kept(base.of(1), shape)},
      {"a part of a part", kept(base.of(0).of(1), shape)},
      {"the same parts the other way round", kept(base.of(1).of(0), shape)},
      {"along frames, residues from 1", kept(dropout_of(0.5, 7, 1), shape, Along::kFrames)}};
  const at::Tensor own = kept(base, shape);
  const double deviation = 1 / std::sqrt(static_cast<double>(own.numel()));
  for (const auto& [name, other] : streams)
    EXPECT_LT(std::abs(correlation(own, other)), 5 * deviation) << name;
  EXPECT_LT(std::abs(correlation(streams.at("a part"), streams.at("another part"))), 5 * deviation);
  for (const int axis : {0, 2}) {  // frames and heads, queries and keys: exchanged, off the diagonal
    const std::int64_t half = shape[static_cast<std::size_t>(axis)] / 2;
    const at::Tensor one = own.narrow(axis, 0, half).narrow(axis + 1, half, half);
    const at::Tensor other = own.narrow(axis, half, half).narrow(axis + 1, 0, half).transpose(axis, axis + 1);
    EXPECT_LT(std::abs(correlation(one, other)), 10 * deviation)
        << "axis " << axis << ", a quarter of the elements";
  }
}

TEST(DropoutTest, ASampleDropsTheSame_WhateverItsBatchAndPadding) {
  const std::int64_t frames = 3, heads = 2, length = 9;
  const Dropout both(0.4, longs({31, 77}), longs({0, 5}));
  const at::Tensor together = kept(both, {2 * frames, heads, length, length + 1}).unflatten(0, {2, frames});
  const at::Tensor alone = kept(dropout_of(0.4, 77, 5), {frames, heads, length - 2, length - 1});
  EXPECT_TRUE(
      together[1].narrow(2, 0, length - 2).narrow(3, 0, length - 2).equal(alone.narrow(3, 0, length - 2)));
  EXPECT_TRUE(together[1].narrow(2, 0, length - 2).select(3, length).equal(alone.select(3, length - 2)))
      << "the bias token comes last in both";

  const at::Tensor by_residue = kept(both, {2 * length, heads, frames, frames + 1}, Along::kFrames);
  const at::Tensor one = kept(dropout_of(0.4, 31), {length, heads, frames, frames + 1}, Along::kFrames);
  EXPECT_TRUE(by_residue.narrow(0, 0, length).equal(one));
}

TEST(DropoutTest, ResiduesAreNumberedInTheProtein) {
  const at::Tensor whole = kept(dropout_of(0.3, 4), {2, 2, 12, 13});
  const at::Tensor cropped = kept(dropout_of(0.3, 4, 5), {2, 2, 7, 8});
  EXPECT_TRUE(whole.narrow(2, 5, 7).narrow(3, 5, 8).equal(cropped));
  const at::Tensor frames = kept(dropout_of(0.3, 4), {12, 2, 4, 5}, Along::kFrames);
  EXPECT_TRUE(frames.narrow(0, 5, 7).equal(kept(dropout_of(0.3, 4, 5), {7, 2, 4, 5}, Along::kFrames)));
}

TEST(DropoutTest, TheLoopOfTheCpuAndTheTensorOperationsAreOneFunction) {
  at::manual_seed(1);
  const at::Tensor rows = at::randint(0, std::int64_t{1} << 32, {3, 4, 5, 6}, at::kLong);
  const at::Tensor columns = at::randint(0, 1 << 24, {3, 17}, at::kLong);
  for (const std::int64_t threshold : {std::int64_t{0}, std::int64_t{1} << 31, std::int64_t{1} << 32}) {
    EXPECT_TRUE(
        dropped_on_cpu(rows, columns, threshold).equal(dropped_on_any_device(rows, columns, threshold)));
  }
  EXPECT_TRUE(dropped_on_cpu(rows, columns, std::int64_t{1} << 32).all().item<bool>());
}

// The bits are part of what a seed means: a run of an older version goes on with the same ones.
TEST(DropoutTest, TheBitsStay) {
  const at::Tensor keep =
      kept(Dropout(0.5, longs({(std::int64_t{3} << 33) + 1}), longs({2})).of(9), {1, 1, 4, 5});
  std::string bits;
  for (std::int64_t i = 0; i < keep.numel(); ++i) bits += keep.flatten()[i].item<double>() > 0 ? '1' : '0';
  EXPECT_EQ(bits, "11011010000100000110");
}

}  // namespace
}  // namespace mdgen::model
