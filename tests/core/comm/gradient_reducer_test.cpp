#include "core/comm/gradient_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <mutex>

#include "tests/support/collective_backends.h"

namespace mdgen::comm {
namespace {

using testing::Backend;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::run_group;
using testing::run_group_or_throw;

// Three layers, the second one unused unless asked for.
struct Net : torch::nn::Module {
  Net() {
    first = register_module("first", torch::nn::Linear(6, 16));
    unused = register_module("unused", torch::nn::Linear(16, 16));
    last = register_module("last", torch::nn::Linear(16, 1));
    const at::NoGradGuard no_grad;  // equal on all threads: no shared generator
    for (at::Tensor& parameter : parameters()) {
      parameter.copy_(at::arange(parameter.numel()).mul(0.7).sin().mul(0.4).view(parameter.sizes()));
    }
  }
  at::Tensor loss(const at::Tensor& input, bool all = false) {
    at::Tensor hidden = torch::tanh(first(input));
    if (all) hidden = unused(hidden);
    return last(hidden).pow(2).sum();
  }
  torch::nn::Linear first{nullptr}, unused{nullptr}, last{nullptr};
};

std::vector<at::Tensor> samples(int count, int step) {
  std::vector<at::Tensor> all;
  for (int i = 0; i < count; ++i) all.push_back(at::arange(6).mul(0.1).add(0.3 * i - step).view({1, 6}));
  return all;
}

std::vector<at::Tensor> plain_gradients(const std::vector<at::Tensor>& inputs) {
  Net net;
  for (const at::Tensor& input : inputs) net.loss(input).backward();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : net.parameters()) gradients.push_back(parameter.grad());
  return gradients;
}

void run_step(Net& net, GradientReducer& reducer, const std::vector<at::Tensor>& mine) {
  reducer.start_step();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (i + 1 == mine.size()) reducer.start_last_backward();
    net.loss(mine[i]).backward();
  }
  reducer.finish_step();
}

void expect_equal_gradients(const Net& net, const std::vector<at::Tensor>& expected) {
  const std::vector<at::Tensor> parameters = net.parameters();
  ASSERT_EQ(parameters.size(), expected.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    ASSERT_EQ(parameters[i].grad().defined(), expected[i].defined()) << "parameter " << i;
    if (!expected[i].defined()) continue;
    EXPECT_TRUE(at::allclose(parameters[i].grad(), expected[i], 1e-5, 1e-6)) << "parameter " << i;
  }
}

class GradientReducerTest : public ::testing::TestWithParam<Backend> {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }
};

// Five samples over the ranks, several micro-batches a rank, an unused layer, two steps, tiny buckets.
TEST_P(GradientReducerTest, TwoSteps_EqualThePlainSum) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 64);
    for (int step = 0; step < 2; ++step) {
      const std::vector<at::Tensor> all = samples(5, step);
      std::vector<at::Tensor> mine;
      for (std::size_t i = static_cast<std::size_t>(group.rank()); i < all.size();
           i += static_cast<std::size_t>(group.world_size())) {
        mine.push_back(all[i]);
      }
      run_step(net, reducer, mine);
      expect_equal_gradients(net, plain_gradients(all));
    }
  });
}

TEST_P(GradientReducerTest, ARankWithoutSamples_JoinsWithZeros) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 256);
    run_step(net, reducer, group.rank() == 0 ? samples(2, 0) : std::vector<at::Tensor>{});
    expect_equal_gradients(net, plain_gradients(samples(2, 0)));
  });
}

TEST_P(GradientReducerTest, ParametersUsedOnOneRankOnly_AreSummed) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 64);
    reducer.start_step();
    reducer.start_last_backward();
    net.loss(samples(1, 0)[0], group.rank() == 0).backward();
    reducer.finish_step();
    EXPECT_GT(net.unused->weight.grad().abs().sum().item<double>(), 0.0);
    EXPECT_THAT(reducer.parameters_without_gradient(), IsEmpty());
  });
}

// The optimizer must be able to leave it alone, as when no reducer were there.
TEST_P(GradientReducerTest, ParametersUsedOnNoRank_HaveNoGradient_UntilTheyAre) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 64);
    for (const bool use_all : {false, true, false}) {
      reducer.start_step();
      net.loss(samples(1, 0)[0], use_all && group.rank() == 0).backward();
      reducer.start_last_backward();
      net.loss(samples(1, 1)[0]).backward();
      reducer.finish_step();
      EXPECT_EQ(net.unused->weight.grad().defined(), use_all);
      EXPECT_EQ(net.unused->bias.grad().defined(), use_all);
      EXPECT_TRUE(net.first->weight.grad().defined());
      if (use_all) {
        EXPECT_THAT(reducer.parameters_without_gradient(), IsEmpty());
      } else {
        EXPECT_THAT(reducer.parameters_without_gradient(), ElementsAre(2, 3)) << "net.parameters()";
      }
    }
  });
}

// 1 + 2^-9 is no bfloat16: a sum kept in that type would lose the small gradient.
TEST_P(GradientReducerTest, HalfPrecisionParameters_AreAccumulatedAndReducedInFloat32) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const at::Tensor a = at::ones({4}, at::kBFloat16).requires_grad_(true);
    GradientReducer reducer({a}, group, 64);
    reducer.start_step();
    if (group.rank() == 0) {
      a.sum().backward();
      reducer.start_last_backward();
      (a * 0x1.0p-9).sum().backward();
    }
    reducer.finish_step();
    EXPECT_EQ(a.grad().scalar_type(), at::kFloat);
    EXPECT_TRUE(a.grad().equal(at::full({4}, 1 + 0x1.0p-9)));
  });
}

TEST_P(GradientReducerTest, Float64Parameters_AreReducedInFloat64) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const at::Tensor a = at::ones({2}, at::kDouble).requires_grad_(true);
    GradientReducer reducer({a}, group, 64);
    reducer.start_step();
    reducer.start_last_backward();
    (a * (1 + 0x1.0p-40)).sum().backward();
    reducer.finish_step();
    EXPECT_TRUE(a.grad().equal(at::full({2}, (1 + 0x1.0p-40) * group.world_size(), at::kDouble)));
  });
}

TEST_P(GradientReducerTest, GradientsAreViewsOfTheFlatBuffer) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 64);
    run_step(net, reducer, samples(2, 0));
    const at::Tensor before = reducer.flat().norm();
    reducer.flat().mul_(0.5);
    double squares = 0;
    for (const at::Tensor& parameter : net.parameters()) {
      if (parameter.grad().defined()) squares += parameter.grad().pow(2).sum().item<double>();
    }
    EXPECT_NEAR(std::sqrt(squares), 0.5 * before.item<double>(), 1e-5 * before.item<double>());
    EXPECT_EQ(reducer.flat().numel(), 6 * 16 + 16 + 16 * 16 + 16 + 16 + 1);
  });
}

// An optimizer that drops gradients (zero_grad sets them to none) must not lose the next step's.
TEST_P(GradientReducerTest, DroppedGradients_ComeBackAsViews) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 64);
    run_step(net, reducer, samples(1, 0));
    net.zero_grad(/*set_to_none=*/true);
    reducer.start_step();
    net.zero_grad(/*set_to_none=*/true);
    reducer.start_last_backward();
    net.loss(samples(1, 1)[0]).backward();
    reducer.finish_step();
    for (const at::Tensor& parameter : {net.first->weight, net.first->bias, net.last->weight, net.last->bias})
      EXPECT_TRUE(parameter.grad().is_alias_of(reducer.flat()));
    const std::vector<at::Tensor> one = plain_gradients(samples(1, 1));
    EXPECT_TRUE(at::allclose(net.first->weight.grad(), one[0] * group.world_size(), 1e-5, 1e-6));
  });
}

TEST_P(GradientReducerTest, AfterAnAbort_TheStepThrows) {
  const auto thrown = run_group(GetParam(), [](Collective& group) {
    Net net;
    GradientReducer reducer(net.parameters(), group, 64);
    run_step(net, reducer, samples(1, 0));
    if (group.rank() == 0) group.abort("stop here");
    run_step(net, reducer, samples(1, 1));
  });
  const Error error = testing::error_of(thrown[0]);
  EXPECT_EQ(error.code(), ErrorCode::kAborted);
  EXPECT_THAT(error.what(), HasSubstr("all_reduce on rank 0"));
  EXPECT_THAT(error.what(), HasSubstr("stop here"));
  for (const std::exception_ptr& one : thrown) EXPECT_TRUE(one);
}

INSTANTIATE_TEST_SUITE_P(Backends, GradientReducerTest,
                         ::testing::Values(Backend{"local", 1}, Backend{"local", 3}, Backend{"gloo", 2},
                                           Backend{"gloo", 3}),
                         [](const auto& info) { return testing::name_of(info.param); });

// Records what is sent, and when.
class RecordingCollective : public Collective {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  bool supports_abort() const override { return true; }
  std::unique_ptr<Pending> all_reduce_async(at::Tensor tensor) override {
    if (fail) throw Error(ErrorCode::kUnavailable, "all_reduce on rank 0 of 2: lost rank 1");
    sizes.push_back(tensor.numel());
    return std::make_unique<Done>();
  }
  void broadcast(at::Tensor, int) override {}
  std::vector<at::Tensor> all_gather(const at::Tensor&) override { return {}; }
  void all_gather_into(at::Tensor, const at::Tensor&) override {}
  std::unique_ptr<Pending> all_to_all_async(at::Tensor, Splits, at::Tensor, Splits) override {
    return std::make_unique<Done>();
  }
  void barrier() override {}
  void abort(const std::string&) override {}

  bool fail = false;
  std::vector<std::int64_t> sizes;

 private:
  struct Done : Pending {
    void wait() override {}
  };
};

at::Tensor parameter(std::int64_t elements) { return at::ones({elements}).requires_grad_(true); }

TEST(GradientReducerOrder, BucketsLeaveDuringBackward_LastParametersFirst) {
  RecordingCollective recorder;
  const at::Tensor a = parameter(3), b = parameter(5), c = parameter(7);
  GradientReducer reducer({a, b, c}, recorder, 1);
  reducer.start_step();
  (a.sum() * b.sum() * c.sum()).backward();
  EXPECT_TRUE(recorder.sizes.empty()) << "left before the last micro-batch";
  reducer.start_last_backward();
  (a.sum() * b.sum() * c.sum()).backward();
  EXPECT_THAT(recorder.sizes, ElementsAre(7, 5, 3)) << "all leave in backward, in one order";
  reducer.finish_step();
  EXPECT_THAT(recorder.sizes, ElementsAre(7, 5, 3, 3)) << "then one counter a parameter";
}

TEST(GradientReducerOrder, AnEarlierBucketThatIsNotReady_HoldsTheOthersBack) {
  RecordingCollective recorder;
  const at::Tensor a = parameter(3), b = parameter(5), c = parameter(7);
  GradientReducer reducer({a, b, c}, recorder, 1);
  reducer.start_step();
  reducer.start_last_backward();
  (a.sum() * b.sum()).backward();  // c gets no gradient
  EXPECT_TRUE(recorder.sizes.empty());
  reducer.finish_step();
  EXPECT_THAT(recorder.sizes, ElementsAre(7, 5, 3, 3));
  EXPECT_THAT(reducer.parameters_without_gradient(), ElementsAre(2));
}

TEST(GradientReducerOrder, SmallParametersShareABucket_ABigOneHasItsOwn) {
  RecordingCollective recorder;
  GradientReducer reducer({parameter(2), parameter(2), parameter(100), parameter(4), parameter(4)}, recorder,
                          32);
  reducer.start_step();
  reducer.finish_step();
  EXPECT_THAT(recorder.sizes, ElementsAre(8, 100, 4, 5));
}

TEST(GradientReducerErrors, AFailingSend_ComesOutOfBackwardAsItIs) {
  RecordingCollective recorder;
  const at::Tensor a = parameter(3);
  GradientReducer reducer({a}, recorder);
  reducer.start_step();
  reducer.start_last_backward();
  recorder.fail = true;
  try {
    a.sum().backward();
    FAIL() << "backward hid the error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  }
  recorder.fail = false;
  reducer.start_step();
  reducer.start_last_backward();
  a.sum().backward();
  reducer.finish_step();
  EXPECT_TRUE(a.grad().equal(at::ones({3})));
}

TEST(GradientReducerErrors, MixedTypes_AreRefused) {
  RecordingCollective recorder;
  const at::Tensor other = at::ones({2}, at::kDouble).requires_grad_(true);
  EXPECT_THROW(GradientReducer({parameter(2), other}, recorder), Error);
  EXPECT_THROW(GradientReducer({at::ones({2})}, recorder), Error);
}

TEST(GradientReducerLifetime, DestroyedReducer_LeavesNoHook) {
  RecordingCollective recorder;
  const at::Tensor a = parameter(3);
  { GradientReducer reducer({a}, recorder); }
  a.sum().backward();
  EXPECT_TRUE(recorder.sizes.empty());
}

}  // namespace
}  // namespace mdgen::comm
