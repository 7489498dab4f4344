#include "core/sample/ode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/sample/step_control.h"
#include "torchdiffeq_numbers.h"

namespace mdgen::sample {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The problem of torchdiffeq_numbers.py.
const std::vector<double> kRates = {0.5, 8.0, 40.0};

Drift relaxation(std::vector<double> rates, std::int64_t* evaluated = nullptr) {
  return [rates, evaluated](const at::Tensor& t, const at::Tensor& x, const at::Tensor& rows) {
    if (evaluated != nullptr) *evaluated += rows.numel();
    const at::Tensor rate = at::tensor(rates, x.options()).index_select(0, rows).unsqueeze(1);
    return -rate * x + 5 * at::cos(7 * t.unsqueeze(1) + at::arange(x.size(1), x.options()));
  };
}

at::Tensor start(at::ScalarType type, double factor = 1) {
  const at::Tensor sample = at::arange(3, at::dtype(type)).unsqueeze(1);
  return factor * (1 + sample - 0.5 * at::arange(4, at::dtype(type)));
}

double largest_difference(const at::Tensor& x, const std::vector<double>& expected) {
  const at::Tensor other = at::tensor(expected, at::dtype(at::kDouble)).view_as(x);
  return (x.to(at::kDouble) - other).abs().max().item<double>();
}

std::string what(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return std::string(error_code_name(error.code())) + ": " + error.what();
  }
  return "no error";
}

struct BatchCase {
  const char* name;
  at::ScalarType type;
  double t0, t1, rtol, atol, start;
  const Expected& expected;
  double tolerance;
};

// What float32 leaves of the state: where steps are long, their size, and by it the state, follows the
// rounding of a small error. torchdiffeq itself moves by 2.2e-5 between float32 and float64 (sample 0 alone).
constexpr double kFloatNoise = 3e-5;
constexpr double kDoubleNoise = 1e-12;

class Torchdiffeq : public testing::TestWithParam<BatchCase> {};

TEST_P(Torchdiffeq, BatchNorm_TakesTheSameStepsToTheSameState) {
  const BatchCase& c = GetParam();
  const OdeResult ours = dopri5(relaxation(kRates), start(c.type, c.start), c.t0, c.t1,
                                {.rtol = c.rtol, .atol = c.atol, .norm = ErrorNorm::kBatch});
  EXPECT_LT(largest_difference(ours.x, c.expected.x), c.tolerance);
  EXPECT_EQ(ours.evaluations, c.expected.evaluations);
  EXPECT_EQ(ours.accepted, std::vector<std::int64_t>(3, c.expected.accepted));
  EXPECT_EQ(ours.rejected, std::vector<std::int64_t>(3, c.expected.rejected));
}

INSTANTIATE_TEST_SUITE_P(
    Numbers, Torchdiffeq,
    testing::Values(BatchCase{"Float", at::kFloat, 0, 1, 1e-3, 1e-6, 1, kBatch, kFloatNoise},
                    BatchCase{"Double", at::kDouble, 0, 1, 1e-3, 1e-6, 1, kBatchDouble, kDoubleNoise},
                    BatchCase{"Tight", at::kDouble, 0, 1, 1e-6, 1e-9, 1, kBatchTight, kDoubleNoise},
                    BatchCase{"Inner", at::kFloat, 1e-3, 1 - 1e-3, 1e-3, 1e-6, 1, kBatchInner, kFloatNoise},
                    BatchCase{"FromZero", at::kFloat, 0, 1, 1e-3, 1e-6, 0, kBatchFromZero, kFloatNoise}),
    [](const auto& info) { return info.param.name; });

TEST(Dopri5, SampleNorm_EachSampleRunsAsTorchdiffeqRunsItAlone) {
  const OdeResult ours = dopri5(relaxation(kRates), start(at::kFloat), 0, 1);
  const std::vector<const Expected*> alone = {&kAlone0, &kAlone1, &kAlone2};
  std::int64_t longest = 0;
  for (std::size_t i = 0; i < alone.size(); ++i) {
    EXPECT_LT(largest_difference(ours.x[static_cast<std::int64_t>(i)], alone[i]->x), kFloatNoise) << i;
    EXPECT_EQ(ours.accepted[i], alone[i]->accepted) << i;
    EXPECT_EQ(ours.rejected[i], alone[i]->rejected) << i;
    longest = std::max(longest, alone[i]->evaluations);
  }
  EXPECT_EQ(ours.evaluations, longest);
}

TEST(Dopri5, SampleNorm_BatchMatesChangeNoBit) {
  const OdeResult together = dopri5(relaxation(kRates), start(at::kFloat), 0, 1);
  for (std::int64_t i = 0; i < 3; ++i) {
    const OdeResult alone =
        dopri5(relaxation({kRates[static_cast<std::size_t>(i)]}), start(at::kFloat).narrow(0, i, 1), 0, 1);
    EXPECT_TRUE(at::equal(alone.x[0], together.x[i])) << i;
  }
}

TEST(Dopri5, BatchNorm_BatchMatesMatter) {
  const OdeResult together = dopri5(relaxation(kRates), start(at::kFloat), 0, 1, {.norm = ErrorNorm::kBatch});
  EXPECT_GT(largest_difference(together.x[0], kAlone0.x), 1e-3);
}

TEST(Dopri5, SampleNorm_ArrivedSamplesAreNotEvaluated) {
  std::int64_t evaluated = 0;
  const OdeResult ours = dopri5(relaxation(kRates, &evaluated), start(at::kFloat), 0, 1);
  std::int64_t needed = 0;
  for (std::size_t i = 0; i < 3; ++i) needed += 2 + 6 * (ours.accepted[i] + ours.rejected[i]);
  EXPECT_EQ(evaluated, needed);
  EXPECT_LT(evaluated, 3 * ours.evaluations);
}

TEST(Dopri5, PaddingThatDoesNotCountChangesNothing) {
  const at::Tensor padded = at::cat({start(at::kFloat), at::zeros({3, 5})}, 1);
  const at::Tensor counted = at::cat({at::ones({1, 4}), at::zeros({1, 5})}, 1);
  const Drift drift = [](const at::Tensor& t, const at::Tensor& x, const at::Tensor& rows) {
    const at::Tensor real = relaxation(kRates)(t, x.narrow(1, 0, 4), rows);
    return at::cat({real, 300 * at::cos(100 * t.unsqueeze(1)).expand({-1, x.size(1) - 4})}, 1);
  };
  for (const ErrorNorm norm : {ErrorNorm::kSample, ErrorNorm::kBatch}) {
    const OdeResult plain = dopri5(relaxation(kRates), start(at::kFloat), 0, 1, {.norm = norm});
    const OdeResult masked = dopri5(drift, padded, 0, 1, {.norm = norm, .counted = counted});
    EXPECT_EQ(masked.accepted, plain.accepted);
    EXPECT_TRUE(at::allclose(masked.x.narrow(1, 0, 4), plain.x, 0, 1e-6));
    EXPECT_NE(dopri5(drift, padded, 0, 1, {.norm = norm}).accepted, plain.accepted);
  }
}

TEST(Dopri5, TighterTolerances_ComeNearerToTheSolution) {
  // x' = x cos(5 t), x = exp(sin(5 t) / 5)
  const Drift drift = [](const at::Tensor& t, const at::Tensor& x, const at::Tensor&) {
    return x * at::cos(5 * t).unsqueeze(1);
  };
  const double exact = std::exp(std::sin(5.0) / 5);
  double last = 1;
  for (const double rtol : {1e-3, 1e-5, 1e-7, 1e-9}) {
    const OdeResult ours =
        dopri5(drift, at::ones({1, 1}, at::kDouble), 0, 1, {.rtol = rtol, .atol = rtol * 1e-3});
    const double error = std::abs(ours.x.item<double>() - exact);
    EXPECT_LT(error, 10 * rtol);
    EXPECT_LT(error, last);
    last = error;
  }
}

TEST(Dopri5, StepsMayPassTheEnd) {
  double latest = 0;
  const Drift drift = [&](const at::Tensor& t, const at::Tensor& x, const at::Tensor&) {
    latest = std::max(latest, t.max().item<double>());
    return at::ones_like(x);
  };
  const OdeResult ours = dopri5(drift, at::ones({1, 2}), 0, 1);
  EXPECT_GT(latest, 1.01);
  EXPECT_NEAR(ours.x[0][0].item<double>(), 2, 1e-5);
}

TEST(Dopri5, PathThatEndsAtT1_IsFollowedToT1) {
  // sqrt(1 - t) is not a number past 1: x = 2/3 (1 - (1 - t)^1.5).
  const Drift drift = [](const at::Tensor& t, const at::Tensor& x, const at::Tensor&) {
    return at::sqrt(1 - t).unsqueeze(1).expand_as(x);
  };
  for (const ErrorNorm norm : {ErrorNorm::kSample, ErrorNorm::kBatch}) {
    const OdeResult ours = dopri5(drift, at::zeros({2, 3}), 0, 0.999, {.norm = norm});
    EXPECT_NEAR(ours.x[1][2].item<double>(), 2.0 / 3 * (1 - std::pow(0.001, 1.5)), 1e-3);
  }
}

TEST(Dopri5, DriftNotFinite_NamesSampleAndTime) {
  const Drift drift = [](const at::Tensor& t, const at::Tensor& x, const at::Tensor& rows) {
    const at::Tensor bad = (rows == 1).logical_and(t > 0.25).unsqueeze(1);
    return at::where(bad, std::numeric_limits<float>::quiet_NaN(), at::ones_like(x));
  };
  for (const ErrorNorm norm : {ErrorNorm::kSample, ErrorNorm::kBatch}) {
    const std::string error = what([&] { dopri5(drift, at::ones({3, 2}), 0, 1, {.norm = norm}); });
    EXPECT_THAT(error, HasSubstr("DataLoss: the drift of sample 1 of the batch is not finite at t = "));
  }
  const std::string at_start = what([&] {
    dopri5([](const auto&, const at::Tensor& x, const auto&) { return x / 0; }, at::ones({1, 2}), 0, 1);
  });
  EXPECT_THAT(at_start, HasSubstr("sample 0 of the batch is not finite at t = 0.000000"));
}

TEST(Dopri5, TooManySteps_SaysWhereItIs) {
  const std::string error =
      what([&] { dopri5(relaxation(kRates), start(at::kFloat), 0, 1, {.max_steps = 3}); });
  EXPECT_THAT(error, HasSubstr("Unavailable: dopri5: sample 0 of the batch, at t = "));
  EXPECT_THAT(error, HasSubstr("all 3 steps are used up"));
}

TEST(Dopri5, WrongProblems_AreRefused) {
  const Drift drift = relaxation(kRates);
  EXPECT_THAT(what([&] { dopri5(drift, start(at::kFloat).to(at::kLong), 0, 1); }),
              HasSubstr("float32 or float64"));
  EXPECT_THAT(what([&] { dopri5(drift, start(at::kFloat), 1, 0); }), HasSubstr("forward in time"));
  EXPECT_THAT(what([&] { dopri5(drift, start(at::kFloat), 0, 1, {.rtol = 0, .atol = 0}); }),
              HasSubstr("nor both zero"));
  EXPECT_THAT(what([&] { euler(drift, start(at::kFloat), 0, 1, 0); }), HasSubstr("at least 1"));
}

TEST(Euler, EqualsTorchdiffeq) {
  const OdeResult ours = euler(relaxation(kRates), start(at::kFloat), 0, 1, 49);
  EXPECT_LT(largest_difference(ours.x, kEuler.x), 1e-6);
  EXPECT_EQ(ours.evaluations, 49);
  EXPECT_THAT(ours.accepted, ElementsAre(49, 49, 49));
}

TEST(Euler, TwiceTheSteps_HalveTheError) {
  const Drift drift = [](const at::Tensor& t, const at::Tensor& x, const at::Tensor&) {
    return x * at::cos(5 * t).unsqueeze(1);
  };
  const auto error = [&](std::int64_t steps) {
    const at::Tensor x = euler(drift, at::ones({1, 1}, at::kDouble), 0, 1, steps).x;
    return std::abs(x.item<double>() - std::exp(std::sin(5.0) / 5));
  };
  EXPECT_NEAR(error(200) / error(400), 2, 0.05);
  EXPECT_NEAR(error(400) / error(800), 2, 0.05);
}

TEST(Euler, DriftNotFinite_NamesSampleAndTime) {
  const Drift drift = [](const at::Tensor& t, const at::Tensor& x, const at::Tensor& rows) {
    const at::Tensor bad = (rows == 2).logical_and(t > 0.45).unsqueeze(1);
    return at::where(bad, std::numeric_limits<float>::infinity(), at::ones_like(x));
  };
  EXPECT_THAT(what([&] {
                euler(drift, at::ones({3, 2}), 0, 1, 10);
              }),
              HasSubstr("sample 2 of the batch is not finite at t = 0.5"));
}

TEST(StepControl, GrowsAndShrinksWithinItsBounds) {
  EXPECT_DOUBLE_EQ(next_step(0.1, 0), 1.0);
  EXPECT_DOUBLE_EQ(next_step(0.1, 1e-12), 1.0);
  EXPECT_DOUBLE_EQ(next_step(0.1, 0.9), 0.1);  // never shrinks after success
  EXPECT_DOUBLE_EQ(next_step(0.1, 1e9), 0.1 * 0.2);
  EXPECT_DOUBLE_EQ(next_step(0.1, 2), 0.1 * 0.9 / std::pow(2, 0.2));
}

TEST(StepControl, FirstStep) {
  EXPECT_DOUBLE_EQ(probe_step(1, 4), 0.0025);
  EXPECT_DOUBLE_EQ(probe_step(0, 4), 1e-6);
  EXPECT_DOUBLE_EQ(first_step(1e-2, 1, 32), std::pow(0.01 / 32, 0.2));
  EXPECT_DOUBLE_EQ(first_step(1e-6, 1, 1), 1e-4);
  EXPECT_DOUBLE_EQ(first_step(1e-2, 0, 0), 1e-5);
}

}  // namespace
}  // namespace mdgen::sample
