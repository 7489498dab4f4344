#include "core/train/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"

namespace mdgen::train {
namespace {

using ::testing::HasSubstr;

at::Tensor parameter(const at::Tensor& value) { return value.clone().set_requires_grad(true); }

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

NamedTensors two_parameters() {
  at::manual_seed(3);
  return {{"a", parameter(at::randn({7, 5}))}, {"b", parameter(at::randn({11}))}};
}

// Two steps by hand in double precision (Kingma and Ba, algorithm 1; Loshchilov and Hutter, algorithm 2).
class AdamTest : public ::testing::TestWithParam<bool> {};

TEST_P(AdamTest, FollowsThePublishedAlgorithm) {
  const bool decoupled = GetParam();
  const Adam::Options options{.lr = 3e-3, .decoupled_weight_decay = decoupled, .weight_decay = 0.01};
  NamedTensors parameters = two_parameters();
  Adam adam(parameters, options);
  std::vector<at::Tensor> expected;
  for (const auto& [name, p] : parameters) {
    at::Tensor weight = p.detach().to(at::kDouble);
    at::Tensor mean = at::zeros_like(weight);
    at::Tensor square = at::zeros_like(weight);
    for (int step = 1; step <= 2; ++step) {
      at::Tensor gradient = at::full_like(weight, 0.1 * step);
      if (decoupled) {
        weight = weight * (1 - options.lr * options.weight_decay);
      } else {
        gradient = gradient + options.weight_decay * weight;
      }
      mean = 0.9 * mean + 0.1 * gradient;
      square = 0.999 * square + 0.001 * gradient * gradient;
      const at::Tensor unbiased = mean / (1 - std::pow(0.9, step));
      weight = weight - options.lr * unbiased / ((square / (1 - std::pow(0.999, step))).sqrt() + 1e-8);
    }
    expected.push_back(weight);
  }
  for (int step = 1; step <= 2; ++step) {
    for (auto& [name, p] : parameters) p.mutable_grad() = at::full_like(p, 0.1 * step);
    adam.step();
  }
  EXPECT_EQ(adam.count(), 2);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LT(worst(parameters[i].second.detach().to(at::kDouble), expected[i]), 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Both, AdamTest, ::testing::Bool());

TEST(AdamStateTest, ContinuesBitForBit) {
  NamedTensors straight = two_parameters();
  NamedTensors resumed = two_parameters();
  const auto step = [](NamedTensors& parameters, Adam& adam, int seed) {
    at::manual_seed(seed);
    for (auto& [name, p] : parameters) p.mutable_grad() = at::randn_like(p);
    adam.step();
  };
  Adam one(straight, {.lr = 0.01});
  for (int i = 0; i < 5; ++i) step(straight, one, i);

  Adam first(resumed, {.lr = 0.01});
  for (int i = 0; i < 3; ++i) step(resumed, first, i);
  Adam second(resumed, {.lr = 0.01});
  second.load(first.state());
  for (int i = 3; i < 5; ++i) step(resumed, second, i);

  EXPECT_EQ(second.count(), 5);
  for (std::size_t i = 0; i < straight.size(); ++i) {
    EXPECT_TRUE(at::equal(straight[i].second, resumed[i].second));
  }
}

TEST(AdamStateTest, ListsEveryProblemAndChangesNothing) {
  NamedTensors parameters = two_parameters();
  for (auto& [name, p] : parameters) p.mutable_grad() = at::zeros_like(p);
  Adam adam(parameters, {});
  adam.step();
  auto state = adam.state();
  state.erase("exp_avg.a");
  state["exp_avg_sq.b"] = at::ones({4});
  state["exp_avg.stray"] = at::ones({1});
  state["exp_avg.b"] = at::ones({11});
  try {
    adam.load(state);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing exp_avg.a"));
    EXPECT_THAT(error.what(), HasSubstr("exp_avg_sq.b has shape (4), not (11)"));
    EXPECT_THAT(error.what(), HasSubstr("unknown exp_avg.stray"));
  }
  EXPECT_EQ(adam.state().at("exp_avg.b").abs().sum().item<float>(), 0);
}

TEST(AdamStateTest, LeavesAParameterWithoutGradientAlone) {
  NamedTensors parameters = two_parameters();
  const at::Tensor before = parameters[1].second.detach().clone();
  Adam adam(parameters, {.lr = 0.1, .decoupled_weight_decay = true, .weight_decay = 0.5});
  parameters[0].second.mutable_grad() = at::ones({7, 5});
  adam.step();
  EXPECT_TRUE(at::equal(parameters[1].second, before));
  EXPECT_FALSE(adam.state().contains("exp_avg.b"));
}

// Parameter b gets its gradients in the steps 1, 2, …, but its first one when a has had three: it must move
// as if it had been alone.
TEST(AdamStateTest, CountsStepsByParameter_AlsoAfterLoading) {
  const auto give = [](at::Tensor p, int step) { p.mutable_grad() = at::full_like(p, 0.3 / step); };
  NamedTensors parameters = two_parameters();
  NamedTensors alone = {{"b", parameter(parameters[1].second.detach())}};
  Adam adam(parameters, {.lr = 0.1});
  Adam single(alone, {.lr = 0.1});
  for (int step = 1; step <= 5; ++step) {
    give(parameters[0].second, step);
    if (step > 3) give(parameters[1].second, step - 3);
    adam.step();
  }
  for (int step = 1; step <= 2; ++step) {
    give(alone[0].second, step);
    single.step();
  }
  EXPECT_TRUE(at::equal(parameters[1].second, alone[0].second));
  EXPECT_EQ(adam.state().at("step").item<std::int64_t>(), 5);
  EXPECT_EQ(adam.state().at("step.b").item<std::int64_t>(), 2);
  EXPECT_FALSE(adam.state().contains("step.a"));

  Adam resumed(parameters, {.lr = 0.1});
  resumed.load(adam.state());
  give(parameters[0].second, 6);
  give(parameters[1].second, 3);
  give(alone[0].second, 3);
  resumed.step();
  single.step();
  EXPECT_TRUE(at::equal(parameters[1].second, alone[0].second));
  EXPECT_EQ(resumed.state().at("step.b").item<std::int64_t>(), 3);
}

// Checkpoints written before parameters had counts of their own: moments for all, one count.
TEST(AdamStateTest, LoadsAStateWithOneCountForAll) {
  NamedTensors parameters = two_parameters();
  NamedTensors same = two_parameters();
  Adam adam(parameters, {.lr = 0.1});
  for (auto& [name, p] : parameters) p.mutable_grad() = at::ones_like(p);
  adam.step();
  EXPECT_THAT(adam.state(), ::testing::SizeIs(5)) << "equal counts are written once, as before";
  Adam resumed(same, {.lr = 0.1});
  resumed.load(adam.state());
  for (std::size_t i = 0; i < same.size(); ++i) {
    same[i].second.detach().copy_(parameters[i].second.detach());
    same[i].second.mutable_grad() = at::ones_like(same[i].second);
  }
  adam.step();
  resumed.step();
  EXPECT_TRUE(at::equal(parameters[1].second, same[1].second));
  resumed.load({{"step", at::scalar_tensor(0, at::kLong)}});
  EXPECT_THAT(resumed.state(), ::testing::SizeIs(1)) << "of a run that has not begun";
}

TEST(ClipTest, ScalesToTheLargestNormOnlyWhenAbove) {
  NamedTensors parameters = two_parameters();
  parameters[0].second.mutable_grad() = at::full({7, 5}, 3.0);
  const at::Tensor norm = gradient_norm(parameters);
  EXPECT_NEAR(norm.item<double>(), 3 * std::sqrt(35), 1e-5);
  clip_gradients(parameters, norm, 0);
  clip_gradients(parameters, norm, 100);
  EXPECT_FLOAT_EQ(parameters[0].second.grad()[0][0].item<float>(), 3);
  clip_gradients(parameters, norm, 0.5);
  EXPECT_NEAR(gradient_norm(parameters).item<double>(), 0.5, 1e-6);
  EXPECT_FALSE(parameters[1].second.grad().defined());
}

TEST(ClipTest, NoGradientsHaveNormZero) {
  NamedTensors parameters = two_parameters();
  EXPECT_EQ(gradient_norm(parameters).item<double>(), 0);
  clip_gradients(parameters, gradient_norm(parameters), 1);
}

TEST(EmaTest, StartsAtTheWeightsAndFollowsThem) {
  NamedTensors weights = {{"w", at::ones({3})}, {"buffer", at::full({2}, 5.0)}};
  Ema ema(weights, 0.9);
  EXPECT_TRUE(at::equal(ema.weights().at("w"), at::ones({3})));
  weights[0].second.fill_(2.0);
  ema.update(weights);
  EXPECT_LT(worst(ema.weights().at("w"), at::full({3}, 1.1)), 1e-6);
  ema.update(weights);
  EXPECT_LT(worst(ema.weights().at("w"), at::full({3}, 1.19)), 1e-6);
  EXPECT_TRUE(at::equal(ema.weights().at("buffer"), at::full({2}, 5.0)));
}

TEST(EmaTest, LoadsWhatItSaved) {
  const NamedTensors weights = {{"w", at::ones({3})}};
  Ema ema(weights, 0.5);
  ema.load({{"w", at::full({3}, 7.0)}});
  EXPECT_TRUE(at::equal(ema.weights().at("w"), at::full({3}, 7.0)));
  EXPECT_THROW(ema.load({{"v", at::ones({3})}}), Error);
}

struct Small : torch::nn::Module {
  Small() {
    register_module("linear", torch::nn::Linear(2, 3));
    register_buffer("table", at::arange(4, at::kFloat));
    register_parameter("frozen", at::zeros({1}), /*requires_grad=*/false);
  }
};

TEST(StateDictTest, HoldsParametersAndBuffersUnderTheirNames) {
  const Small module;
  std::vector<std::string> all, learned;
  for (const auto& [name, tensor] : state_dict(module)) all.push_back(name);
  for (const auto& [name, tensor] : trainable(module)) learned.push_back(name);
  EXPECT_THAT(all, ::testing::UnorderedElementsAre("linear.weight", "linear.bias", "frozen", "table"));
  EXPECT_THAT(learned, ::testing::ElementsAre("linear.weight", "linear.bias"));
}

TEST(StateDictTest, ATensorUnderSeveralNamesIsSavedUnderEachAndLearnedOnce) {
  const torch::nn::Linear shared(2, 2);
  const torch::nn::Sequential module(shared, torch::nn::Linear(2, 1), shared);
  std::vector<std::string> all, learned;
  for (const auto& [name, tensor] : state_dict(*module)) all.push_back(name);
  for (const auto& [name, tensor] : trainable(*module)) learned.push_back(name);
  EXPECT_THAT(
      all, ::testing::UnorderedElementsAre("0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"));
  EXPECT_THAT(learned, ::testing::ElementsAre("0.weight", "0.bias", "1.weight", "1.bias"));
}

TEST(StateDictTest, LoadsAllOrNothing) {
  Small module;
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, tensor] : state_dict(module)) weights[name] = at::full_like(tensor, 9.0).detach();
  load_state_dict(module, weights);
  for (const auto& [name, tensor] : state_dict(module)) EXPECT_TRUE(at::equal(tensor, weights[name])) << name;

  weights["linear.bias"] = at::zeros({5});
  weights["table"].zero_();
  weights.erase("frozen");
  try {
    load_state_dict(module, weights);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("missing frozen"));
    EXPECT_THAT(error.what(), HasSubstr("linear.bias has shape (5), not (3)"));
  }
  EXPECT_EQ(module.named_buffers()["table"][0].item<float>(), 9);
}

}  // namespace
}  // namespace mdgen::train
