#include "core/model/recompute.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

namespace mdgen::model {
namespace {

struct Gradients {
  at::Tensor output, x, time, weight;
};

// Two layers that share `time`, each y = x + gelu(w x) * time.
Gradients run_layers(bool recompute, int* calls = nullptr) {
  at::manual_seed(3);
  const at::Tensor weight = at::randn({6, 6}).requires_grad_(true);
  const at::Tensor start = at::randn({4, 6}).requires_grad_(true);
  const at::Tensor time = at::randn({6}).requires_grad_(true);
  const at::Tensor fixed = at::randn({6});  // without gradient, captured
  const auto layer = [&](const std::vector<at::Tensor>& inputs) {
    if (calls != nullptr) ++*calls;
    return inputs[0] + at::gelu(at::linear(inputs[0], weight)) * inputs[1] * fixed;
  };
  at::Tensor x = start;
  for (int i = 0; i < 2; ++i) x = recompute ? recomputed(layer, {x, time}, {weight}) : layer({x, time});
  x.square().sum().backward();
  return {x.detach(), start.grad(), time.grad(), weight.grad()};
}

TEST(RecomputeTest, GivesTheSameBits) {
  int calls = 0;
  const Gradients plain = run_layers(false);
  const Gradients recomputed = run_layers(true, &calls);
  EXPECT_EQ(calls, 4) << "twice a layer";
  EXPECT_TRUE(recomputed.output.equal(plain.output));
  EXPECT_TRUE(recomputed.x.equal(plain.x));
  EXPECT_TRUE(recomputed.time.equal(plain.time));
  EXPECT_TRUE(recomputed.weight.equal(plain.weight));
}

TEST(RecomputeTest, WithoutGradients_RunsOnce) {
  int calls = 0;
  const auto run = [&](const std::vector<at::Tensor>& inputs) { return ++calls, inputs[0] * 2; };
  const at::Tensor leaf = at::ones({2}).requires_grad_(true);
  {
    const at::NoGradGuard no_grad;
    EXPECT_FALSE(recomputed(run, {leaf}, {}).requires_grad());
  }
  EXPECT_FALSE(recomputed(run, {at::ones({2})}, {}).requires_grad());
  EXPECT_EQ(calls, 2);
}

TEST(RecomputeTest, InputsWithoutGradient_StayWithoutOne) {
  const at::Tensor weight = at::ones({3}).requires_grad_(true);
  const at::Tensor mask = at::tensor({1.0F, 0.0F, 1.0F});
  const at::Tensor index = at::tensor({0, 1, 2}, at::kLong);
  recomputed([&](const std::vector<at::Tensor>& in) { return weight.index({in[1]}) * in[0]; }, {mask, index},
             {weight})
      .sum()
      .backward();
  EXPECT_TRUE(weight.grad().equal(mask));
  EXPECT_FALSE(mask.grad().defined());
}

TEST(RecomputeTest, AParametersHookRunsOnce_AnUnusedOneGetsNoGradient) {
  struct Count : torch::autograd::FunctionPostHook {
    explicit Count(int& runs) : count(runs) {}
    torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                              const torch::autograd::variable_list&) override {
      ++count;
      return outputs;
    }
    int& count;
  };
  const at::Tensor used = at::ones({3}).requires_grad_(true);
  const at::Tensor unused = at::ones({3}).requires_grad_(true);
  int runs = 0;
  const auto accumulator = torch::autograd::impl::grad_accumulator(used);
  accumulator->add_post_hook(std::make_unique<Count>(runs));
  recomputed([&](const std::vector<at::Tensor>& in) { return in[0] * used + used; }, {at::ones({3})},
             {used, unused})
      .sum()
      .backward();
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(used.grad().equal(at::full({3}, 2.0)));
  EXPECT_FALSE(unused.grad().defined());
}

TEST(RecomputeTest, AParameterThatIsNamedTwice_CountsOnce) {
  const at::Tensor weight = at::ones({3}).requires_grad_(true);
  recomputed([&](const std::vector<at::Tensor>& in) { return in[0] * weight; }, {at::ones({3})},
             {weight, weight})
      .sum()
      .backward();
  EXPECT_TRUE(weight.grad().equal(at::ones({3})));
}

// Backward runs after autocast has ended; the second run must be cast as the first one was.
TEST(RecomputeTest, RunsUnderTheAutocastOfTheFirstCall) {
  const auto gradient = [](bool recompute) {
    at::manual_seed(5);
    const at::Tensor weight = at::randn({8, 8}).requires_grad_(true);
    const at::Tensor x = at::randn({4, 8}).requires_grad_(true);
    const auto run = [&](const std::vector<at::Tensor>& in) {
      return at::linear(in[0], weight).to(at::kFloat);
    };
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
    const at::Tensor y = recompute ? recomputed(run, {x}, {weight}) : run({x});
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
    y.square().sum().backward();
    return std::pair(weight.grad(), y.detach());
  };
  const auto [plain, plain_y] = gradient(false);
  const auto [again, again_y] = gradient(true);
  EXPECT_TRUE(again_y.equal(plain_y));
  EXPECT_TRUE(again.equal(plain));
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  EXPECT_TRUE(at::autocast::is_autocast_cache_enabled());
}

}  // namespace
}  // namespace mdgen::model
