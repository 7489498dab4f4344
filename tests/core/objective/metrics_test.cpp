#include "core/objective/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace mdgen::objective {
namespace {

// Logits whose most probable type is `types` (B, T, L).
at::Tensor logits_for(const at::Tensor& types) {
  return at::one_hot(types, 20).to(at::kFloat) + 0.1 * at::rand({1});
}

transport::Losses losses_of(const at::Tensor& predicted) {
  transport::Losses losses;
  losses.per_sample = at::tensor({1.0F, 3.0F}).requires_grad_(true);
  losses.t = at::tensor({0.25F, 0.5F});
  losses.continuous = at::tensor({2.0F, 4.0F});
  losses.discrete = at::tensor({5.0F, 7.0F});
  losses.logits = logits_for(predicted);
  return losses;
}

TEST(BatchMeansTest, CountsRecoveryInsideAndAtTheEnds) {
  const at::Tensor types = at::tensor({3, 4, 5, 6, 7, 8, 9, 10}, at::kLong).view({2, 4});
  at::Tensor predicted = types.unsqueeze(1).repeat({1, 2, 1});
  predicted[0][0][1] = 0;  // inner
  predicted[1][1][3] = 0;  // an end
  predicted[1][0][0] = 0;  // an end
  const BatchMeans means = batch_means(losses_of(predicted), types, at::ones({2, 4}));
  EXPECT_FLOAT_EQ(means.category_pred_design_aa_recovery.item<float>(), 7.0F / 8);
  EXPECT_FLOAT_EQ(means.category_pred_cond_aa_recovery.item<float>(), 6.0F / 8);
  EXPECT_FLOAT_EQ(means.loss.item<float>(), 2);
  EXPECT_FALSE(means.loss.requires_grad());
  EXPECT_FLOAT_EQ(means.time.item<float>(), 0.375);
  EXPECT_FLOAT_EQ(means.loss_continuous.item<float>(), 3);
  EXPECT_FLOAT_EQ(means.loss_discrete.item<float>(), 6);
}

TEST(BatchMeansTest, PaddingIsNoResidue) {
  const at::Tensor types = at::tensor({3, 4, 5, 0, 7, 8, 9, 10}, at::kLong).view({2, 4});
  const at::Tensor mask = at::tensor({1, 1, 1, 0, 1, 1, 1, 1}, at::kFloat).view({2, 4});
  at::Tensor predicted = types.unsqueeze(1).clone();
  predicted[0][0][2] = 0;  // the first sample's last residue
  const BatchMeans means = batch_means(losses_of(predicted), types, mask);
  EXPECT_FLOAT_EQ(means.category_pred_design_aa_recovery.item<float>(), 1);
  EXPECT_FLOAT_EQ(means.category_pred_cond_aa_recovery.item<float>(), 3.0F / 4);
}

TEST(BatchMeansTest, WithoutDesignThereIsOnlyALoss) {
  transport::Losses losses;
  losses.per_sample = losses.continuous = at::tensor({1.0F, 3.0F});
  losses.t = at::zeros({2});
  const BatchMeans means = batch_means(losses, at::zeros({2, 4}, at::kLong), at::ones({2, 4}));
  EXPECT_FLOAT_EQ(means.loss.item<float>(), 2);
  EXPECT_FALSE(means.loss_continuous.defined());
  EXPECT_FALSE(means.category_pred_design_aa_recovery.defined());
}

TEST(BatchMeansTest, ASequenceAloneHasNoContinuousLoss) {
  const at::Tensor types = at::zeros({2, 4}, at::kLong);
  transport::Losses losses = losses_of(types.unsqueeze(1));
  losses.continuous = at::Tensor();
  const BatchMeans means = batch_means(losses, types, at::ones({2, 4}));
  EXPECT_FALSE(means.loss_continuous.defined());
  EXPECT_FLOAT_EQ(means.category_pred_cond_aa_recovery.item<float>(), 1);
}

}  // namespace
}  // namespace mdgen::objective
