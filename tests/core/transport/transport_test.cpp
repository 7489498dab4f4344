#include "core/transport/transport.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/error.h"

namespace mdgen::transport {
namespace {

constexpr PathType kPaths[] = {PathType::kLinear, PathType::kGvp, PathType::kVp};
constexpr Prediction kPredictions[] = {Prediction::kVelocity, Prediction::kScore, Prediction::kNoise};

at::Tensor times(double begin, double end) { return at::linspace(begin, end, 41, at::kDouble); }

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(PathTest, StartsAtNoiseAndEndsAtData) {
  const at::Tensor ends = at::tensor({0.0, 1.0}, at::kDouble);
  for (const PathType path : {PathType::kLinear, PathType::kGvp}) {
    EXPECT_LT(worst(alpha(path, ends).value, ends), 1e-12);
    EXPECT_LT(worst(sigma(path, ends).value, 1 - ends), 1e-12);
  }
  EXPECT_NEAR(alpha(PathType::kVp, ends[0]).value.item<double>(), std::exp(-0.25 * 19.9 - 0.05), 1e-12);
  EXPECT_DOUBLE_EQ(alpha(PathType::kVp, ends[1]).value.item<double>(), 1);
  EXPECT_DOUBLE_EQ(sigma(PathType::kVp, ends[1]).value.item<double>(), 0);
}

TEST(PathTest, GvpAndVpKeepTheVariance) {
  const at::Tensor t = times(0, 1);
  for (const PathType path : {PathType::kGvp, PathType::kVp}) {
    const at::Tensor variance = alpha(path, t).value.square() + sigma(path, t).value.square();
    EXPECT_LT(worst(variance, at::ones_like(t)), 1e-12);
  }
}

TEST(PathTest, DerivativesEqualFiniteDifferences) {
  constexpr double kStep = 1e-6;
  const at::Tensor t = times(0.01, 0.99);
  for (const PathType path : kPaths) {
    for (const auto coefficient : {&alpha, &sigma}) {
      const at::Tensor difference =
          (coefficient(path, t + kStep).value - coefficient(path, t - kStep).value) / (2 * kStep);
      EXPECT_LT(worst(coefficient(path, t).derivative, difference), 1e-6);
    }
  }
}

TEST(TimeRangeTest, FollowsPathAndPrediction) {
  for (const Prediction prediction : kPredictions) {
    const TimeRange vp = training_time_range(PathType::kVp, prediction);
    EXPECT_DOUBLE_EQ(vp.begin, 0);
    EXPECT_DOUBLE_EQ(vp.end, 1 - 1e-5);
    for (const PathType path : {PathType::kLinear, PathType::kGvp}) {
      const TimeRange range = training_time_range(path, prediction);
      const double margin = prediction == Prediction::kVelocity ? 0 : 1e-3;
      EXPECT_DOUBLE_EQ(range.begin, margin);
      EXPECT_DOUBLE_EQ(range.end, 1 - margin);
    }
  }
}

TEST(TimeRangeTest, SamplingStopsShortWhereTheDriftIsNotDefined) {
  for (const Prediction prediction : kPredictions) {
    const TimeRange vp = sampling_time_range(PathType::kVp, prediction);
    EXPECT_DOUBLE_EQ(vp.begin, 0);
    EXPECT_DOUBLE_EQ(vp.end, 1 - 1e-3);
    for (const PathType path : {PathType::kLinear, PathType::kGvp}) {
      const TimeRange range = sampling_time_range(path, prediction);
      const double margin = prediction == Prediction::kVelocity ? 0 : 1e-3;
      EXPECT_DOUBLE_EQ(range.begin, margin);
      EXPECT_DOUBLE_EQ(range.end, 1 - margin);
    }
  }
}

// With data and noise both normal, x_t is normal with the variance alpha^2 + sigma^2, its score is -x_t over
// it, and the flow that keeps that law moves x_t by half the variance's logarithmic derivative.
TEST(DriftTest, EveryPredictionGivesTheProbabilityFlowsVelocity) {
  at::manual_seed(1);
  const at::Tensor t = at::tensor({0.05, 0.4, 0.9}, at::kDouble);
  const at::Tensor x = at::randn({3, 2, 4, 5}, at::kDouble);
  const at::Tensor time = t.view({-1, 1, 1, 1});
  for (const PathType path : kPaths) {
    const Coefficient a = alpha(path, time), s = sigma(path, time);
    const at::Tensor variance = a.value.square() + s.value.square();
    const at::Tensor score = -x / variance;
    const at::Tensor noise = -s.value * score;
    const at::Tensor velocity = x * (a.value * a.derivative + s.value * s.derivative) / variance;
    EXPECT_LT(worst(velocity_from_prediction(path, Prediction::kVelocity, velocity, x, t), velocity), 1e-15);
    EXPECT_LT(worst(velocity_from_prediction(path, Prediction::kScore, score, x, t), velocity), 1e-11);
    EXPECT_LT(worst(velocity_from_prediction(path, Prediction::kNoise, noise, x, t), velocity), 1e-11);
  }
}

TEST(TransportTest, FlowTimeSpansItsRange) {
  const at::Tensor uniform = at::tensor({0.0F, 0.5F, 1.0F});
  const at::Tensor t = Transport(PathType::kGvp, Prediction::kScore).flow_time(uniform);
  EXPECT_EQ(t.scalar_type(), at::kFloat);
  EXPECT_FLOAT_EQ(t[0].item<float>(), 1e-3F);
  EXPECT_FLOAT_EQ(t[1].item<float>(), 0.5F);
  EXPECT_FLOAT_EQ(t[2].item<float>(), 1 - 1e-3F);
}

struct Sample {
  at::Tensor x1 = at::randn({2, 3, 4, 5}, at::kDouble);
  at::Tensor x0 = at::randn({2, 3, 4, 5}, at::kDouble);
  at::Tensor t = at::tensor({0.3, 0.8}, at::kDouble);
  at::Tensor mask = at::ones({2, 3, 4, 5}, at::kDouble);
};

TEST(TransportTest, APerfectModelHasNoLoss) {
  const Sample sample;
  for (const PathType path : kPaths) {
    for (const Prediction prediction : kPredictions) {
      const auto perfect = [&](const at::Tensor&, const at::Tensor& t) {
        const at::Tensor time = t.view({-1, 1, 1, 1});
        switch (prediction) {
          case Prediction::kVelocity:
            return alpha(path, time).derivative * sample.x1 + sigma(path, time).derivative * sample.x0;
          case Prediction::kScore:
            return -sample.x0 / sigma(path, time).value;
          default:
            return sample.x0;
        }
      };
      const Losses losses =
          Transport(path, prediction).training_losses(perfect, sample.x1, sample.x0, sample.t, sample.mask);
      EXPECT_LT(losses.per_sample.max().item<double>(), 1e-24);
    }
  }
}

TEST(TransportTest, MasksAndAveragesEachSampleAlone) {
  Sample sample;
  sample.mask[1].slice(1, 2).zero_();  // the second sample has two residues
  const Transport transport(PathType::kLinear, Prediction::kNoise);
  const auto off_by_two = [&](const at::Tensor& xt, const at::Tensor&) {
    at::Tensor output = sample.x0 + 2;
    output[1].slice(1, 2).fill_(1e6);
    return output + 0 * xt;
  };
  const Losses losses = transport.training_losses(off_by_two, sample.x1, sample.x0, sample.t, sample.mask);
  EXPECT_NEAR(losses.per_sample[0].item<double>(), 4, 1e-12);
  EXPECT_NEAR(losses.per_sample[1].item<double>(), 4, 1e-12);
  const at::Tensor expected = 0.3 * sample.x1[0] + 0.7 * sample.x0[0];
  EXPECT_LT(worst(losses.xt[0], expected), 1e-12);
  EXPECT_LT(worst(losses.ut, sample.x1 - sample.x0), 1e-12);
}

struct SequenceSample : Sample {
  at::Tensor logits = at::randn({2, 3, 4, 20}, at::kDouble);
  SequenceTarget target{.types = at::randint(0, 20, {2, 4}),
                        .mask = at::ones({2, 4}, at::kDouble),
                        .simplex = at::softmax(at::randn({2, 4, 20}, at::kDouble), -1),
                        .weight = 0.3};
};

// Mean of -log p(type) over frames and the residues before `residues`.
double cross_entropy(const at::Tensor& logits, const at::Tensor& types, int sample, int residues) {
  double sum = 0;
  for (int frame = 0; frame < logits.size(1); ++frame) {
    for (int residue = 0; residue < residues; ++residue) {
      const at::Tensor p = at::softmax(logits[sample][frame][residue], -1);
      sum -= std::log(p[types[sample][residue].item<std::int64_t>()].item<double>());
    }
  }
  return sum / static_cast<double>(logits.size(1) * residues);
}

TEST(SequenceLossTest, IsWeighedAgainstTheContinuousOneSampleBySample) {
  at::manual_seed(8);
  SequenceSample s;
  s.target.mask[1][3] = 0;
  const Transport transport(PathType::kLinear, Prediction::kVelocity);
  const auto model = [&](const at::Tensor& xt, const at::Tensor& t) {
    EXPECT_TRUE(at::equal(t, s.t));
    EXPECT_EQ(xt.size(-1), 25);
    for (int frame = 0; frame < 3; ++frame) {
      EXPECT_TRUE(at::equal(xt.select(1, frame).slice(-1, 5), s.target.simplex));
    }
    return at::cat({s.x1 - s.x0 + 2, s.logits}, -1);
  };
  const Losses losses = transport.training_losses(model, s.x1, s.x0, s.t, s.mask, s.target);
  EXPECT_TRUE(at::equal(losses.logits, s.logits));
  EXPECT_EQ(losses.ut.size(-1), 5);
  EXPECT_EQ(losses.output.size(-1), 25);
  for (int sample = 0; sample < 2; ++sample) {
    const double discrete = cross_entropy(s.logits, s.target.types, sample, sample == 0 ? 4 : 3);
    EXPECT_NEAR(losses.continuous[sample].item<double>(), 4, 1e-12);
    EXPECT_NEAR(losses.discrete[sample].item<double>(), discrete, 1e-12);
    EXPECT_NEAR(losses.per_sample[sample].item<double>(), 0.3 * discrete + 0.7 * 4, 1e-12);
  }
}

TEST(SequenceLossTest, ASequenceAloneIsAskedAtTheEndWithoutNoise) {
  at::manual_seed(9);
  SequenceSample s;
  s.target.alone = true;
  s.target.simplex = at::Tensor();
  const at::Tensor logits = s.logits.narrow(1, 0, 1);
  const auto model = [&](const at::Tensor& xt, const at::Tensor& t) {
    EXPECT_TRUE(at::equal(t, at::ones_like(s.t)));
    EXPECT_EQ(xt.slice(-1, 5).abs().max().item<double>(), 0);
    // The continuous channels are noised to the drawn time all the same.
    EXPECT_LT(worst(xt[0].slice(-1, 0, 5), 0.3 * s.x1[0] + 0.7 * s.x0[0]), 1e-12);
    return logits;
  };
  const Losses losses = Transport(PathType::kLinear, Prediction::kVelocity)
                            .training_losses(model, s.x1, s.x0, s.t, s.mask, s.target);
  EXPECT_FALSE(losses.continuous.defined());
  for (int sample = 0; sample < 2; ++sample) {
    EXPECT_NEAR(losses.per_sample[sample].item<double>(), cross_entropy(logits, s.target.types, sample, 4),
                1e-12);
  }
}

TEST(SequenceLossTest, NeedsVelocityAndTheRightShape) {
  const SequenceSample s;
  const auto model = [&](const at::Tensor& xt, const at::Tensor&) { return xt.slice(-1, 1); };
  EXPECT_THROW(Transport(PathType::kLinear, Prediction::kScore)
                   .training_losses(model, s.x1, s.x0, s.t, s.mask, s.target),
               Error);
  EXPECT_THROW(Transport(PathType::kLinear, Prediction::kVelocity)
                   .training_losses(model, s.x1, s.x0, s.t, s.mask, s.target),
               Error);
}

TEST(TransportTest, RefusesUnknownNames) {
  v1::TransportSpec spec;
  spec.set_path_type("Bezier");
  EXPECT_THROW(Transport{spec}, Error);
  spec.set_path_type("VP");
  spec.set_prediction("guess");
  EXPECT_THROW(Transport{spec}, Error);
}

}  // namespace
}  // namespace mdgen::transport
