#include "core/comm/tree_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <mutex>

#include "core/base/sum_tree.h"
#include "tests/support/collective_backends.h"

namespace mdgen::comm {
namespace {

using testing::Backend;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::run_group_or_throw;

// Gradients of any values: loss = sum over parameters of parameter . value.
struct Parameters {
  explicit Parameters(at::ScalarType type = at::kFloat) {
    for (const std::int64_t elements : {7, 1, 30}) {
      all.push_back(at::zeros({elements}, at::TensorOptions().dtype(type)).requires_grad_(true));
    }
  }
  std::int64_t elements() const { return 38; }

  // One micro-batch's backward pass; `mask` says which parameters it reaches.
  void backward(const at::Tensor& values, unsigned mask = 7) const {
    at::Tensor loss = at::zeros({});
    std::int64_t at = 0;
    for (std::size_t i = all.size(); i-- > 0;) {  // flat's order
      const at::Tensor part = values.narrow(0, at, all[i].numel());
      if (((mask >> i) & 1U) != 0) loss = loss + (all[i].to(at::kFloat) * part).sum();
      at += all[i].numel();
    }
    if (loss.requires_grad()) loss.backward();
  }
  std::vector<at::Tensor> all;
};

// Values of very different sizes, so that every order of addition gives other bits.
at::Tensor values_of(std::int64_t shard) {
  const at::Tensor x = at::arange(38, at::kDouble).add(static_cast<double>(shard) * 1.7);
  return x.sin().mul(at::pow(10, x.mul(2.3).cos().mul(4))).to(at::kFloat);
}

at::Tensor tree_of(std::int64_t shards) {
  TreeSum<at::Tensor> sum(shards, [](at::Tensor& left, at::Tensor& right) { left = left + right; });
  for (std::int64_t i = 0; i < shards; ++i) sum.push({0, i}, values_of(i));
  return sum.parts().front().value;
}

std::vector<std::int64_t> even_bounds(std::int64_t shards, int ranks) {
  std::vector<std::int64_t> bounds;
  for (int rank = 0; rank <= ranks; ++rank) bounds.push_back(shards * rank / ranks);
  return bounds;
}

template <typename Backward>
void run_step(TreeReducer& reducer, Collective& group, const std::vector<std::int64_t>& bounds,
              const Backward& backward) {
  reducer.start_step(bounds);
  const std::int64_t end = bounds[static_cast<std::size_t>(group.rank()) + 1];
  for (std::int64_t shard = bounds[static_cast<std::size_t>(group.rank())]; shard < end; ++shard) {
    reducer.before_backward(shard + 1 == end);
    backward(shard);
    reducer.after_backward();
  }
  reducer.finish_step();
}

class TreeReducerTest : public ::testing::TestWithParam<Backend> {
 protected:
  static void SetUpTestSuite() { ::signal(SIGPIPE, SIG_IGN); }
};

TEST_P(TreeReducerTest, EveryNumberOfShards_GivesTheTreesBits) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const Parameters parameters;
    TreeReducer reducer(parameters.all, group);
    for (std::int64_t shards = 1; shards <= 12; ++shards) {  // fewer than ranks, too
      run_step(reducer, group, even_bounds(shards, group.world_size()),
               [&](std::int64_t shard) { parameters.backward(values_of(shard)); });
      EXPECT_TRUE(reducer.flat().equal(tree_of(shards))) << shards << " shards";
      EXPECT_TRUE(parameters.all[2].grad().equal(tree_of(shards).narrow(0, 0, 30)));
      EXPECT_EQ(parameters.all[2].grad().data_ptr(), reducer.flat().data_ptr());
    }
  });
}

TEST_P(TreeReducerTest, UnequalRanges_GiveTheSameBits) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const Parameters parameters;
    TreeReducer reducer(parameters.all, group);
    std::vector<std::int64_t> bounds(static_cast<std::size_t>(group.world_size()) + 1, 11);
    bounds.front() = 0;
    if (bounds.size() > 2) bounds[1] = 7;  // 7, 4 and then nothing
    run_step(reducer, group, bounds, [&](std::int64_t shard) { parameters.backward(values_of(shard)); });
    EXPECT_TRUE(reducer.flat().equal(tree_of(11)));
  });
}

// -0 + 0 is 0: whether a neighbour without gradient is on this rank or on another must not show.
TEST_P(TreeReducerTest, ShardsWithoutAGradient_CountAsZeros) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const Parameters parameters;
    TreeReducer reducer(parameters.all, group);
    run_step(reducer, group, even_bounds(5, group.world_size()), [&](std::int64_t shard) {
      if (shard == 0) parameters.backward(at::full({38}, -0.0F), 5);
      if (shard == 4) parameters.backward(at::full({38}, -0.0F), 4);
    });
    EXPECT_TRUE(reducer.flat().equal(at::zeros({38})));
    EXPECT_FALSE(at::signbit(reducer.flat()).any().item<bool>());
    EXPECT_THAT(reducer.parameters_without_gradient(), ElementsAre(1));
    EXPECT_FALSE(parameters.all[1].grad().defined());
    EXPECT_TRUE(parameters.all[0].grad().defined());
  });
}

TEST_P(TreeReducerTest, HalfPrecisionParameters_AreAddedInFloat32) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const Parameters parameters(at::kBFloat16);
    TreeReducer reducer(parameters.all, group);
    run_step(reducer, group, even_bounds(6, group.world_size()),
             [&](std::int64_t shard) { parameters.backward(at::full({38}, shard == 0 ? 256.0F : 0.25F)); });
    EXPECT_TRUE(reducer.flat().equal(at::full({38}, 257.25F)));
  });
}

TEST_P(TreeReducerTest, KeepsFewPartialSums) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const Parameters parameters;
    TreeReducer reducer(parameters.all, group);
    run_step(reducer, group, even_bounds(64, group.world_size()),
             [&](std::int64_t shard) { parameters.backward(values_of(shard)); });
    EXPECT_LE(reducer.most_parts(), 10U);
    EXPECT_TRUE(reducer.flat().equal(tree_of(64)));
  });
}

TEST_P(TreeReducerTest, ANan_IsSeenByAll) {
  run_group_or_throw(GetParam(), [](Collective& group) {
    const Parameters parameters;
    TreeReducer reducer(parameters.all, group);
    run_step(reducer, group, even_bounds(4, group.world_size()), [&](std::int64_t shard) {
      parameters.backward(at::full({38}, shard == 3 ? std::nanf("") : 1.0F));
    });
    EXPECT_TRUE(reducer.flat().isnan().all().item<bool>());
  });
}

INSTANTIATE_TEST_SUITE_P(Backends, TreeReducerTest,
                         ::testing::Values(Backend{"local", 1}, Backend{"local", 2}, Backend{"local", 5},
                                           Backend{"gloo", 2}, Backend{"gloo", 3}, Backend{"gloo", 4}),
                         [](const auto& info) { return testing::name_of(info.param); });

TEST(TreeReducerErrors, AShareThatWasNotComputed_IsTold) {
  const auto group = std::move(make_local_group(1).front());
  const Parameters parameters;
  TreeReducer reducer(parameters.all, *group);
  EXPECT_THROW(reducer.start_step({0, 1, 2}), Error);
  reducer.start_step({0, 3});
  reducer.after_backward();
  try {
    reducer.finish_step();
    FAIL() << "took a third of the sum for the whole";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_THAT(error.what(), HasSubstr("up to 1, but its share ends at 3"));
  }
}

}  // namespace
}  // namespace mdgen::comm
