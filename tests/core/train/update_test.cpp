// What one optimizer step does to weights, moments and average: grad_clip, accumulate_grad, ema, ema_decay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/checkpoint/store.h"
#include "core/checkpoint/train_state.h"
#include "core/train/run_state.h"
#include "tests/support/temp_dir.h"
#include "tests/support/train_run.h"

namespace mdgen::train {
namespace {

using mdgen::testing::run_training;
using mdgen::testing::RunResult;
using Tensors = std::map<std::string, at::Tensor>;

class UpdateTest : public ::testing::Test {
 protected:
  v1::JobSpec spec(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"name=" + name, "every_steps=1", "keep_last=0", "abs_pos_emb=true"});
    return mdgen::testing::tiny_spec(data_, folder_.path(), more);
  }
  // By step.
  std::map<std::int64_t, checkpoint::TrainState> checkpoints(const std::string& name) const {
    std::map<std::int64_t, checkpoint::TrainState> states;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / name / "checkpoints")) {
      if (!entry.is_directory()) continue;
      checkpoint::TrainState state = checkpoint::read_files(entry.path());
      const std::int64_t step = state.summary.step;
      states.emplace(step, std::move(state));
    }
    return states;
  }
  // Of Adam's first moments after the first step: a tenth of the gradient that it was given.
  double given_norm(const std::string& name) const {
    double squares = 0;
    const auto saved = checkpoints(name);
    for (const auto& [key, tensor] : saved.at(1).optimizer) {
      if (key.starts_with("exp_avg.")) squares += tensor.square().sum().item<double>();
    }
    return 10 * std::sqrt(squares);
  }

  mdgen::testing::TempDir folder_;
  mdgen::testing::SyntheticDataset data_ = mdgen::testing::make_synthetic_dataset(
      folder_ / "data",
      {.lengths = {7, 11}, .frames = 8, .replicas = 3, .dtype = "<f2", .suffix = {}, .seed = 3});
};

TEST_F(UpdateTest, GradClip_BoundsTheGradient_ZeroLeavesItAlone) {
  const RunResult off = run_training(spec("off", {"grad_clip=0", "max_steps=1"}));
  const double norm = off.observer.steps.at(0).grad_norm();
  ASSERT_GT(norm, 0.02);
  EXPECT_NEAR(given_norm("off"), norm, 1e-4 * norm);
  const RunResult clipped = run_training(spec("clipped", {"grad_clip=0.01", "max_steps=1"}));
  EXPECT_EQ(clipped.observer.steps.at(0).grad_norm(), norm) << "reported before clipping";
  EXPECT_NEAR(given_norm("clipped"), 0.01, 1e-5);
  run_training(spec("wide", {"grad_clip=1000", "max_steps=1"}));
  EXPECT_EQ(given_norm("wide"), given_norm("off"));
}

TEST_F(UpdateTest, AccumulateGrad_MultipliesTheBatchOfAStep) {
  const auto with = [&](const std::string& name, const std::string& batch, const std::string& accumulate) {
    v1::JobSpec spec = this->spec(name, {"batch_size=" + batch, "accumulate_grad=" + accumulate, "epochs=2"});
    spec.clear_global_batch_size();
    return run_training(config::resolve(spec, folder_.path()).spec).observer.steps;
  };
  const auto four_at_once = with("at_once", "4", "1");
  const auto one_by_one = with("one_by_one", "1", "4");
  const auto no_accumulation = with("none", "1", "1");
  ASSERT_EQ(one_by_one.size(), four_at_once.size());
  for (std::size_t i = 0; i < one_by_one.size(); ++i) {
    EXPECT_EQ(one_by_one[i].samples(), four_at_once[i].samples());
    EXPECT_EQ(one_by_one[i].sample_hash_sum(), four_at_once[i].sample_hash_sum());
    EXPECT_NEAR(one_by_one[i].loss(), four_at_once[i].loss(), 1e-4);
    EXPECT_NEAR(one_by_one[i].grad_norm(), four_at_once[i].grad_norm(), 1e-4);
  }
  EXPECT_EQ(no_accumulation.size(), 12U) << "6 samples, 2 epochs";
  EXPECT_EQ(no_accumulation[0].samples(), 1);
}

TEST_F(UpdateTest, Ema_StartsAtTheInitialWeights_FollowsAfterEachStep_CoversBuffers) {
  const v1::JobSpec spec = this->spec("ema", {"ema_decay=0.9", "max_steps=3"});
  run_training(spec);
  RunState initial(spec, at::kCPU);
  Tensors expected;
  for (const auto& [name, tensor] : initial.live().model) expected[name] = tensor.to(at::kDouble);
  ASSERT_TRUE(expected.contains("pos_embed"));
  const auto saved = checkpoints("ema");
  double moved = 0;
  for (std::int64_t step = 1; step <= 3; ++step) {
    ASSERT_EQ(saved.at(step).ema.size(), expected.size());
    for (auto& [name, average] : expected) {
      average = 0.9 * average + 0.1 * saved.at(step).model.at(name).to(at::kDouble);
      const at::Tensor found = saved.at(step).ema.at(name).to(at::kDouble);
      EXPECT_LT((found - average).abs().max().item<double>(), 1e-6) << name << " after step " << step;
      moved = std::max(moved, (found - initial.live().model.at(name)).abs().max().item<double>());
    }
  }
  EXPECT_GT(moved, 1e-4);
}

TEST_F(UpdateTest, WithoutEma_NoneIsKept) {
  run_training(spec("none", {"ema=false", "max_steps=1"}));
  EXPECT_TRUE(checkpoints("none").at(1).ema.empty());
}

TEST_F(UpdateTest, EmaDecayOne_StaysAtTheInitialWeights) {
  const v1::JobSpec spec = this->spec("still", {"ema_decay=1", "max_steps=2"});
  run_training(spec);
  RunState initial(spec, at::kCPU);
  const auto saved = checkpoints("still");
  for (const auto& [name, tensor] : initial.live().model)
    EXPECT_TRUE(saved.at(2).ema.at(name).equal(tensor)) << name;
}

}  // namespace
}  // namespace mdgen::train
