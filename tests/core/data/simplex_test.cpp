// Dirichlet draws against SciPy 1.17.1: `stats.beta.ppf(k / 10, a, 18 + rest)` and
// `stats.dirichlet(a).mean(), .var()`; a component of a Dirichlet draw has a beta distribution.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "core/data/draws.h"

namespace mdgen::data {
namespace {

using ::testing::HasSubstr;

using Point = std::array<float, 20>;

Point point(const DrawKey& key, std::int32_t residue, int type, double alpha) {
  Point out{};
  draw_simplex(key, residue, type, alpha, out);
  return out;
}

constexpr int kTrials = 20000;
constexpr int kType = 7;
constexpr double kTailChiSquared = 27.877;  // stats.chi2.ppf(0.999, 9)

struct Case {
  double alpha;
  std::array<double, 9> true_type;   // deciles of the component with alpha
  std::array<double, 9> other_type;  // deciles of another one
  std::array<double, 2> mean;        // of the two
  std::array<double, 2> variance;
};

void PrintTo(const Case& c, std::ostream* out) { *out << "alpha " << c.alpha; }

class Simplex : public ::testing::TestWithParam<Case> {};

TEST_P(Simplex, HasScipysMomentsAndDeciles) {
  const Case& expected = GetParam();
  std::array<std::vector<int>, 2> bins{std::vector<int>(10), std::vector<int>(10)};
  std::array<double, 2> sums{}, squares{};
  for (int i = 0; i < kTrials; ++i) {
    const Point p = point({.seed = 12, .epoch = 3, .sample = static_cast<std::uint32_t>(i % 500)}, i / 500,
                          kType, expected.alpha);
    const std::array<double, 2> picked{p[kType], p[(kType + 9) % 20]};
    for (std::size_t k = 0; k < 2; ++k) {
      const auto& deciles = k == 0 ? expected.true_type : expected.other_type;
      ++bins[k][static_cast<std::size_t>(std::upper_bound(deciles.begin(), deciles.end(), picked[k]) -
                                         deciles.begin())];
      sums[k] += picked[k];
      squares[k] += picked[k] * picked[k];
    }
  }
  for (std::size_t k = 0; k < 2; ++k) {
    double chi_squared = 0;
    for (const int count : bins[k])
      chi_squared += (count - kTrials / 10.0) * (count - kTrials / 10.0) * 10 / kTrials;
    EXPECT_LT(chi_squared, kTailChiSquared) << "component " << k;
    const double mean = sums[k] / kTrials;
    EXPECT_NEAR(mean, expected.mean[k], 5 * std::sqrt(expected.variance[k] / kTrials));
    EXPECT_NEAR(squares[k] / kTrials - mean * mean, expected.variance[k], 0.08 * expected.variance[k]);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Alphas, Simplex,
    ::testing::Values(Case{1.0,
                           {0.00552994356, 0.0116757012, 0.018597262, 0.0265273598, 0.0358240021,
                            0.0470814329, 0.0614010457, 0.0812187896, 0.11413321},
                           {0.00552994356, 0.0116757012, 0.018597262, 0.0265273598, 0.0358240021,
                            0.0470814329, 0.0614010457, 0.0812187896, 0.11413321},
                           {0.05, 0.05},
                           {0.0022619, 0.0022619}},
                      Case{3.4,
                           {0.0648495941, 0.0869694032, 0.105602678, 0.123321902, 0.141366832, 0.160812093,
                            0.183110371, 0.211059205, 0.252822364},
                           {0.00491128857, 0.0103730933, 0.0165289266, 0.0235877127, 0.0318711153,
                            0.0419136065, 0.0547070612, 0.0724488883, 0.102010977},
                           {0.15178571, 0.04464286},
                           {0.005502, 0.00182264}},
                      Case{8.0,
                           {0.188273206, 0.221151738, 0.246522901, 0.269217032, 0.291203, 0.313865448,
                            0.338774241, 0.368663229, 0.411123827},
                           {0.00404412793, 0.00854572024, 0.0136246005, 0.0194553921, 0.0263072793,
                            0.0346281849, 0.045250853, 0.0600244909, 0.0847526891},
                           {0.2962963, 0.03703704},
                           {0.0074466, 0.00127376}},
                      Case{0.5,
                           {0.000420961072, 0.00170997446, 0.00395105444, 0.00730569542, 0.01205712,
                            0.0187093922, 0.0282354358, 0.0428456644, 0.06959531},
                           {0.00567897631, 0.0119893615, 0.0190950614, 0.0272344639, 0.0367741962,
                            0.0483226586, 0.0630071346, 0.0833198279, 0.117030004},
                           {0.02564103, 0.05128205},
                           {0.00121871, 0.00237328}}));

TEST(DrawSimplex, IsAPointOfTheSimplex) {
  for (std::uint32_t sample = 0; sample < 2000; ++sample) {
    const Point p =
        point({.seed = 5, .sample = sample}, 3, static_cast<int>(sample % 20), 1 + sample / 300.0);
    double sum = 0;
    for (const float x : p) {
      ASSERT_GE(x, 0.0F);
      sum += x;
    }
    ASSERT_NEAR(sum, 1, 1e-6);
  }
}

TEST(DrawSimplex, EveryPartOfTheKeyCounts_AndNothingElse) {
  const DrawKey key{.seed = 1, .epoch = 2, .sample = 3};
  EXPECT_EQ(point(key, 4, 5, 2), point(key, 4, 5, 2));
  const std::set<Point> all{point(key, 4, 5, 2),
                            point({.seed = 9, .epoch = 2, .sample = 3}, 4, 5, 2),
                            point({.seed = 1, .epoch = 9, .sample = 3}, 4, 5, 2),
                            point({.seed = 1, .epoch = 2, .sample = 9}, 4, 5, 2),
                            point(key, 9, 5, 2),
                            point(key, 4, 9, 2),
                            point(key, 4, 5, 9)};
  EXPECT_EQ(all.size(), 7U);
}

// With all concentrations 1 the true type is one of twenty.
TEST(DrawSimplexStart, IsUniformAndHasDrawsOfItsOwn) {
  const DrawKey key{.seed = 1, .epoch = 2, .sample = 3};
  Point start{};
  draw_simplex_start(key, 4, start);
  EXPECT_NE(start, point(key, 4, 0, 1));
  EXPECT_EQ(point(key, 4, 0, 1), point(key, 4, 13, 1));
  std::array<double, 20> means{};
  for (std::uint32_t sample = 0; sample < 20000; ++sample) {
    draw_simplex_start({.seed = 2, .sample = sample}, 0, start);
    for (std::size_t i = 0; i < 20; ++i) means[i] += start[i] / 20000.0;
  }
  for (const double mean : means) EXPECT_NEAR(mean, 0.05, 5 * std::sqrt(0.0022619 / 20000));
}

TEST(DrawSimplex, BadConcentrationOrResidue_Throws) {
  const auto message = [](std::int32_t residue, double alpha) -> std::string {
    try {
      point({}, residue, 0, alpha);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message(0, 0), HasSubstr("must be above 0"));
  EXPECT_THAT(message(0, std::nan("")), HasSubstr("must be above 0"));
  EXPECT_THAT(message(1 << 20, 1), HasSubstr("residue 1048576"));
  EXPECT_THAT(message(-1, 1), HasSubstr("residue -1"));
}

TEST(DrawDropoutKey, Has63BitsAndSeesTheWholeKey) {
  std::int64_t ones = 0;
  std::set<std::int64_t> keys;
  for (std::uint32_t sample = 0; sample < 10000; ++sample) {
    const std::int64_t key = draw_dropout_key({.seed = 1, .epoch = 2, .sample = sample});
    ASSERT_GE(key, 0);
    ones |= key;
    keys.insert(key);
  }
  EXPECT_EQ(ones, INT64_MAX);
  EXPECT_EQ(keys.size(), 10000U);
  EXPECT_NE(draw_dropout_key({.seed = 1}), draw_dropout_key({.seed = 2}));
  EXPECT_NE(draw_dropout_key({.epoch = 1}), draw_dropout_key({.epoch = 2}));
}

// A change of these values changes every later sample of a resumed run: it needs a new plan version.
TEST(DrawSimplex, GoldenValues) {
  const Point p = point({.seed = 137, .epoch = 3, .sample = 41}, 2, 6, 4.5);
  EXPECT_NEAR(p[0], 0.00133599958F, 1e-8);
  EXPECT_NEAR(p[6], 0.499205858F, 1e-6);
  EXPECT_EQ(draw_dropout_key({.seed = 137, .epoch = 3, .sample = 41}), 7229154289428495160);
}

}  // namespace
}  // namespace mdgen::data
