#include "core/transport/dirichlet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "core/base/error.h"

namespace mdgen::transport {
namespace {

struct Known {
  double alpha, b, c;
};
// mpmath 1.4, 150 digits, straight from the definition:
//   -diff(lambda a: betainc(a, 19, 0, b, regularized=True), alpha) * beta(alpha, 19)
//     / ((1 - b) ** 19 * b ** (alpha - 1))
constexpr Known kExact[] = {
    {1, 1e-6, 1.12678880793698e-5},
    {1, 0.0009765625, 0.00432742211105244},
    {1, 0.05, 0.0596292186171899},
    {1, 0.5, 0.152758088385852},
    {1, 0.9375, 0.183501260574247},
    {1, 0.999, 0.186673116024981},
    {2.5, 1e-6, 4.74964989058282e-6},
    {2.5, 0.0009765625, 0.0019615390905513},
    {2.5, 0.05, 0.0319482058185742},
    {2.5, 0.5, 0.0962922084846848},
    {2.5, 0.9375, 0.120614676958781},
    {2.5, 0.999, 0.123193974249139},
    {4, 1e-6, 3.05202187956277e-6},
    {4, 0.0009765625, 0.00130583742611541},
    {4, 0.05, 0.0229731791835141},
    {4, 0.5, 0.074710232146726},
    {4, 0.9375, 0.0954932415205847},
    {4, 0.999, 0.0977267503036221},
    {7.9375, 1e-6, 1.59672136456769e-6},
    {7.9375, 0.0009765625, 0.000714469540788894},
    {7.9375, 0.05, 0.0138183777269986},
    {7.9375, 0.5, 0.0495027339580331},
    {7.9375, 0.9375, 0.0649917897483908},
    {7.9375, 0.999, 0.0666866781493123},
    {8, 1e-6, 1.58487328047253e-6},
    {8, 0.0009765625, 0.000709491110073752},
    {8, 0.05, 0.0137351148951335},
    {8, 0.5, 0.0492533243767744},
    {8, 0.9375, 0.0646825878822256},
    {8, 0.999, 0.0663712588843014},
    {30, 0.0009765625, 0.000210861941372001},
    {30, 0.05, 0.00458343973648461},
    {30, 0.5, 0.0186339909256856},
    {30, 0.9375, 0.0253941912809469},
    {30, 0.999, 0.0261533764761765},
};

// SciPy 1.17, NumPy 2.4: the reference's DirichletConditionalFlow(K=20, alpha_spacing=0.001).c_factor on
// float32 arrays.
constexpr Known kTabulated[] = {
    {2, 0x1p-14, 0.002376303795634371},    {2, 0x1p-10, 0.002418023128543004},
    {2, 0.25, 0.08226365027147799},        {2, 0.5, 0.10811033134814363},
    {3.4375, 0x1p-14, 0.0828196929173289}, {3.4375, 0x1p-10, 0.0015659202295379463},
    {3.4375, 0.05, 0.025555601154094137},  {3.4375, 0.375, 0.07214107468864367},
    {7.875, 0x1p-14, 9867.643087144494},   {7.875, 0x1p-10, 0.0008463832181674494},
    {7.875, 0.05, 0.013894591459689421},   {7.875, 0.5, 0.04977012551424002},
};

double exact(double alpha, double b) {
  return conditional_factor(at::tensor({b}, at::kDouble), at::tensor({alpha}, at::kDouble)).item<double>();
}

double tabulated(double alpha, double b) {
  return tabulated_factor(at::full({1, 1}, static_cast<float>(b)), at::tensor({alpha}, at::kDouble))
      .item<double>();
}

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(ConditionalFactorTest, EqualsItsDefinition) {
  for (const auto& [alpha, b, c] : kExact) {
    EXPECT_NEAR(exact(alpha, b), c, 1e-8 * c) << "alpha " << alpha << ", b " << b;
  }
}

TEST(ConditionalFactorTest, IsContinuousWhereTheSeriesMeet) {
  for (const double alpha : {1.0, 4.0, 8.0, 40.0}) {
    const double meet = std::max(0.5, alpha / (alpha + 19));
    EXPECT_NEAR(exact(alpha, meet - 1e-9), exact(alpha, meet + 1e-9), 1e-8) << alpha;
  }
}

TEST(ConditionalFactorTest, IsFiniteAtTheSimplexesEdges) {
  EXPECT_EQ(exact(3, 0), 0);
  EXPECT_EQ(exact(3, -1e-3), 0);
  // c(1, alpha) = (1/19) sum over m < 19 of 1 / (alpha + m)
  double sum = 0;
  for (int m = 0; m < 19; ++m) sum += 1 / (3.0 + m);
  EXPECT_NEAR(exact(3, 1), sum / 19, 1e-12);
  EXPECT_NEAR(exact(3, 1.5), sum / 19, 1e-12);
}

TEST(TabulatedFactorTest, EqualsTheReferences) {
  for (const auto& [alpha, b, c] : kTabulated) {
    EXPECT_NEAR(tabulated(alpha, b), c, 2e-6 * c) << "alpha " << alpha << ", b " << b;
  }
  EXPECT_TRUE(std::isnan(tabulated(7.875, 0.999)));
  EXPECT_EQ(tabulated(7.875, 0), 0);
  EXPECT_EQ(tabulated(7.875, 1), 0);
}

// The reference's table has no row for alpha_max itself and its lookup fails there.
TEST(TabulatedFactorTest, HasARowForTheLastAlpha) {
  EXPECT_NEAR(tabulated(8, 0.25), tabulated(7.999, 0.25), 1e-5);
}

struct State {
  at::Tensor simplex = at::softmax(at::randn({3, 2, 4, kResidueTypes}), -1);
  at::Tensor logits = 3 * at::randn({3, 2, 4, kResidueTypes});
  at::Tensor t = at::tensor({0.0F, 0.4F, 1.0F});
};

TEST(SequenceVelocityTest, IsTheMeanOfTheConditionalVelocities) {
  at::manual_seed(3);
  const State s;
  for (const bool table : {false, true}) {
    const DirichletFlow flow{.temperature = 0.7, .tabulated = table};
    const at::Tensor velocity = sequence_velocity(s.simplex, s.logits, s.t, flow);
    ASSERT_EQ(velocity.scalar_type(), at::kFloat);
    at::Tensor expected = at::zeros({3, 2, 4, kResidueTypes}, at::kDouble);
    const at::Tensor probability = at::softmax(s.logits.to(at::kDouble) / 0.7, -1);
    const at::Tensor alpha = (1 + 7 * s.t).to(at::kDouble);
    const at::Tensor c =
        table ? tabulated_factor(s.simplex, alpha) : conditional_factor(s.simplex, alpha.view({3, 1, 1, 1}));
    for (int type = 0; type < kResidueTypes; ++type) {
      at::Tensor toward = -s.simplex.to(at::kDouble);
      toward.select(-1, type) += 1;
      expected += (probability.select(-1, type) * c.select(-1, type)).unsqueeze(-1) * toward * 7;
    }
    EXPECT_LT(worst(velocity, expected), 1e-6);
    EXPECT_LT(velocity.sum(-1).abs().max().item<double>(), 1e-6);
  }
}

TEST(SequenceVelocityTest, EverySampleHasItsOwnTime) {
  at::manual_seed(4);
  const State s;
  for (const bool table : {false, true}) {
    const DirichletFlow flow{.tabulated = table};
    const at::Tensor all = sequence_velocity(s.simplex, s.logits, s.t, flow);
    for (int i = 0; i < 3; ++i) {
      const at::Tensor one =
          sequence_velocity(s.simplex.narrow(0, i, 1), s.logits.narrow(0, i, 1), s.t.narrow(0, i, 1), flow);
      EXPECT_TRUE(at::equal(all.narrow(0, i, 1), one));
    }
  }
}

// The law that the velocity is for: Dirichlet(1 + (alpha - 1) e_i) samples, moved with the velocity toward
// type i, stay samples of it, whose mean is known.
TEST(SequenceVelocityTest, CarriesTheDirichletPathOfOneType) {
  at::manual_seed(5);
  const DirichletFlow flow;
  constexpr int kSamples = 2000;
  constexpr int kSteps = 100;
  at::Tensor x = at::_sample_dirichlet(at::ones({kSamples, kResidueTypes}, at::kDouble));
  at::Tensor logits = at::full({kSamples, kResidueTypes}, -60.0, at::kDouble);
  logits.select(-1, 7).fill_(60);
  for (int step = 0; step < kSteps; ++step) {
    const at::Tensor t = at::full({kSamples}, (step + 0.5) / kSteps, at::kDouble);
    x = x + sequence_velocity(x, logits, t, flow) / kSteps;
  }
  EXPECT_LT(worst(x.sum(-1), at::ones({kSamples}, at::kDouble)), 1e-9);
  EXPECT_GE(x.min().item<double>(), 0);
  const double alpha = 8, mean = alpha / (alpha + 19);
  const double variance = alpha * 19 / ((alpha + 19) * (alpha + 19) * (alpha + 20));
  EXPECT_NEAR(x.select(-1, 7).mean().item<double>(), mean, 0.006);
  EXPECT_NEAR(x.select(-1, 7).var().item<double>(), variance, 0.0008);
  EXPECT_NEAR(x.select(-1, 3).mean().item<double>(), 1 / (alpha + 19), 0.003);
}

TEST(SequenceVelocityTest, TemperatureAndAlphaMaxChangeIt) {
  at::manual_seed(6);
  const State s;
  const at::Tensor base = sequence_velocity(s.simplex, s.logits, s.t, {});
  EXPECT_GT(worst(base, sequence_velocity(s.simplex, s.logits, s.t, {.temperature = 0.5})), 1e-3);
  EXPECT_GT(worst(base, sequence_velocity(s.simplex, s.logits, s.t, {.alpha_max = 4})), 1e-3);
  const at::Tensor hot = sequence_velocity(s.simplex, s.logits, s.t, {.temperature = 1e9});
  EXPECT_LT(worst(hot, sequence_velocity(s.simplex, at::zeros_like(s.logits), s.t, {})), 1e-6);
}

TEST(SequenceVelocityTest, PastTheEndAlphaStays) {
  at::manual_seed(7);
  const State s;
  const auto at_time = [&](double t, bool table) {
    return sequence_velocity(s.simplex, s.logits, at::full({3}, t, at::kFloat), {.tabulated = table});
  };
  EXPECT_TRUE(at::equal(at_time(1.16, false), at_time(1, false)));
  EXPECT_LT(worst(at_time(1.16, true), at_time(1 - 0.001 / 7, true)), 1e-6);
}

TEST(SequenceVelocityTest, AFactorThatIsNotFiniteIsAnErrorUnlessAllowed) {
  at::Tensor simplex = at::full({1, 1, kResidueTypes}, 0.001F / 19);
  simplex[0][0][5] = 0.999F;
  const at::Tensor logits = at::zeros({1, 1, kResidueTypes});
  const at::Tensor t = at::tensor({0.9F});
  EXPECT_TRUE(at::isfinite(sequence_velocity(simplex, logits, t, {})).all().item<bool>());
  try {
    sequence_velocity(simplex, logits, t, {.tabulated = true});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDataLoss);
    EXPECT_NE(std::string(error.what()).find("allow_nan_cfactor"), std::string::npos);
  }
  const DirichletFlow allowing{.allow_nan_cfactor = true, .tabulated = true};
  EXPECT_TRUE(at::isfinite(sequence_velocity(simplex, logits, t, allowing)).all().item<bool>());
}

TEST(DirichletFlowTest, ComesFromTheSpec) {
  v1::JobSpec spec;
  spec.mutable_transport()->set_alpha_max(6);
  spec.mutable_transport()->set_dirichlet_flow_temp(0.25);
  spec.mutable_transport()->set_allow_nan_cfactor(true);
  spec.set_reference_compat(true);
  const DirichletFlow flow = dirichlet_flow(spec);
  EXPECT_EQ(flow.alpha_max, 6);
  EXPECT_EQ(flow.temperature, 0.25);
  EXPECT_TRUE(flow.allow_nan_cfactor);
  EXPECT_TRUE(flow.tabulated);
  EXPECT_FLOAT_EQ(concentration(flow, at::tensor({0.5F})).item<float>(), 3.5F);
}

}  // namespace
}  // namespace mdgen::transport
