#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/data/dataset.h"
#include "core/objective/objective.h"
#include "core/train/numerics.h"
#include "core/train/run_state.h"
#include "tests/support/temp_dir.h"
#include "tests/support/training_spec.h"

namespace mdgen::train {
namespace {

using ::testing::HasSubstr;

TEST(PrecisionNames, AreLightnings) {
  for (const auto& [name, long_name] : std::map<std::string, std::string>{
           {"32", "32-true"}, {"64", "64-true"}, {"16", "16-mixed"}, {"bf16", "bf16-mixed"}}) {
    const Precision a = precision_of(name);
    const Precision b = precision_of(long_name);
    EXPECT_EQ(a.weights, b.weights) << name;
    EXPECT_EQ(a.autocast, b.autocast) << name;
    EXPECT_EQ(a.loss_scaling, b.loss_scaling) << name;
  }
  EXPECT_TRUE(precision_of("16").loss_scaling);
  EXPECT_FALSE(precision_of("bf16").loss_scaling);
  EXPECT_TRUE(precision_of("bf16-true").has_masters());
  EXPECT_FALSE(precision_of("64").has_masters());
  try {
    precision_of("8-bit");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'8-bit' is none of 32-true"));
  }
}

TEST(AutocastTest, HoldsForItsScope) {
  const at::Tensor a = at::ones({4, 4});
  {
    const Autocast autocast(precision_of("bf16-mixed"), at::kCPU);
    EXPECT_EQ(at::matmul(a, a).scalar_type(), at::kBFloat16);
    EXPECT_EQ((a + a).scalar_type(), at::kFloat);
  }
  EXPECT_EQ(at::matmul(a, a).scalar_type(), at::kFloat);
  {
    const Autocast autocast(precision_of("16-mixed"), at::kCPU);
    EXPECT_EQ(at::matmul(a, a).scalar_type(), at::kHalf);
  }
  for (const char* name : {"32-true", "64-true", "bf16-true"}) {
    const Autocast autocast(precision_of(name), at::kCPU);
    EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU)) << name;
  }
}

// One micro-batch through a model whose every gate is open.
class PrecisionTest : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& precision, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {
        "precision=" + precision, "embed_dim=64",      "mha_heads=4", "num_layers=2",
        "abs_pos_emb=true",       "abs_time_emb=true", "batch_size=3"};
    all.insert(all.end(), more.begin(), more.end());
    return mdgen::testing::tiny_spec(data_, folder_.path(), all);
  }

  struct Result {
    double loss = 0;
    at::Tensor gradients;  // all, flat, float64
    at::ScalarType gradient_type = at::kFloat;
  };

  Result run(const v1::JobSpec& spec) {
    RunState state(spec, at::kCPU);
    open(state);
    const v1::Assignment assignment = mdgen::testing::assignment_for(spec);
    const data::Dataset dataset(spec, assignment.manifest().train(),
                                objective::latent_channels(spec.model()));
    const data::Batch batch = in_precision(dataset.load(0, {0, 1, 2}), state.precision());
    const transport::Transport transport(spec.transport());
    const objective::Prepared prepared = objective::prepare(batch, spec);
    at::Tensor loss;
    {
      const Autocast autocast(state.precision(), at::kCPU);
      loss = objective::training_losses(state.model(), transport, prepared,
                                        transport.flow_time(batch.flow_time), batch.noise)
                 .per_sample.mean();
    }
    loss.backward();
    std::vector<at::Tensor> gradients;
    for (const auto& [name, parameter] : state.parameters()) {
      EXPECT_TRUE(parameter.grad().defined()) << name;
      gradients.push_back(parameter.grad().to(at::kDouble).flatten());
    }
    return {loss.item<double>(), at::cat(gradients), state.parameters()[0].second.grad().scalar_type()};
  }

  // Weights a little off their initial values, the same in every precision.
  static void open(RunState& state) {
    const torch::NoGradGuard no_grad;
    at::manual_seed(4);
    for (const auto& [name, parameter] : state.parameters()) {
      parameter.add_((at::randn(parameter.sizes()) * 0.1).to(parameter.scalar_type()));
    }
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

double relative_l2(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

struct Tolerance {
  const char* precision;
  double loss, gradients;
};
class AgainstFloat64 : public PrecisionTest, public ::testing::WithParamInterface<Tolerance> {};

// docs/training.md gives these bounds.
TEST_P(AgainstFloat64, LossAndGradientAgree) {
  const Tolerance& tolerance = GetParam();
  const Result exact = run(spec("64-true"));
  const Result result = run(spec(tolerance.precision));
  EXPECT_NEAR(result.loss, exact.loss, tolerance.loss * exact.loss);
  EXPECT_LT(relative_l2(result.gradients, exact.gradients), tolerance.gradients);
  EXPECT_GT(relative_l2(result.gradients, exact.gradients), 0) << "the precision has no effect";
}
INSTANTIATE_TEST_SUITE_P(Precisions, AgainstFloat64,
                         ::testing::Values(Tolerance{"32-true", 1e-6, 1e-5},
                                           Tolerance{"bf16-mixed", 2e-3, 2e-2},
                                           Tolerance{"16-mixed", 2e-4, 5e-3},
                                           Tolerance{"bf16-true", 2e-2, 5e-2}),
                         [](const auto& info) {
                           std::string name = info.param.precision;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace mdgen::train
