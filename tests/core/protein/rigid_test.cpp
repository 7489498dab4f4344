#include "core/protein/rigid.h"

#include <cmath>

#include "golden_tensors.h"

namespace mdgen::protein {
namespace {

at::Tensor random_quaternions(std::int64_t count) {
  torch::manual_seed(3);
  const at::Tensor q = at::randn({count, 4}, at::kDouble);
  return q / q.norm(2, -1, /*keepdim=*/true);
}

// The textbook formula, independent of the code under test.
at::Tensor matrix_of(const at::Tensor& q) {
  const auto c = q.unbind(-1);
  const at::Tensor &w = c[0], &x = c[1], &y = c[2], &z = c[3];
  return at::stack({1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),  //
                    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),  //
                    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)},
                   -1)
      .unflatten(-1, {3, 3});
}

Rigid random_rigid(std::int64_t count) {
  return {matrix_of(random_quaternions(count)), at::randn({count, 3}, at::kDouble) * 10};
}

TEST(Quaternion, InvertsTheMatrixFormula) {
  const at::Tensor q = random_quaternions(10'000);
  const at::Tensor found = rot_to_quat(matrix_of(q));
  EXPECT_GE(found.select(-1, 0).min().item<double>(), 0);
  EXPECT_LT((found - at::where(q.narrow(-1, 0, 1) < 0, -q, q)).abs().max().item<double>(), 1e-12);
}

TEST(Quaternion, OfAnyLength_GivesTheMatrix) {
  const at::Tensor q = random_quaternions(1'000);
  EXPECT_LT((quat_to_rot(3 * q) - matrix_of(q)).abs().max().item<double>(), 1e-12);
  const Rigid frames = random_rigid(1'000);
  const Rigid back = from_tensor_7(to_tensor_7(frames));
  EXPECT_LT((back.rots - frames.rots).abs().max().item<double>(), 1e-12);
  EXPECT_TRUE(at::equal(back.trans, frames.trans));
}

// Half turns and the identity, where all but one of the four squared components vanish.
TEST(Quaternion, EachOfTheFourBranches) {
  for (int axis = 0; axis < 4; ++axis) {
    for (const double tilt : {0.0, 1e-7, 1e-3}) {
      at::Tensor q = at::full({4}, tilt, at::kFloat);
      q[axis] = 1.0;
      q = q / q.norm();
      at::Tensor rots = matrix_of(q).detach().requires_grad_(true);
      const at::Tensor found = rot_to_quat(rots);
      EXPECT_LT((found - q).abs().max().item<double>(), 2e-6) << axis << " " << tilt;
      found.sum().backward();
      EXPECT_TRUE(rots.grad().isfinite().all().item<bool>()) << axis << " " << tilt;
    }
  }
}

TEST(Quaternion, GradientEqualsFiniteDifferences) {
  const at::Tensor rots = matrix_of(random_quaternions(50)).requires_grad_(true);
  const at::Tensor weights = at::randn({50, 4}, at::kDouble);
  (rot_to_quat(rots) * weights).sum().backward();
  for (std::int64_t i = 0; i < 9; ++i) {
    at::Tensor step = at::zeros({9}, at::kDouble);
    step[i] = 1e-6;
    step = step.view({3, 3});
    const at::Tensor slope = ((rot_to_quat(rots + step) - rot_to_quat(rots - step)) * weights).sum(-1) / 2e-6;
    EXPECT_LT((slope - rots.grad().flatten(-2).select(-1, i)).abs().max().item<double>(), 1e-7);
  }
}

TEST(Rigid, ComposeInvertApply) {
  const Rigid a = random_rigid(100);
  const Rigid b = {a.rots.flip(0), a.trans.flip(0)};
  const at::Tensor x = at::randn({100, 3}, at::kDouble);
  EXPECT_LT((apply(compose(a, b), x) - apply(a, apply(b, x))).abs().max().item<double>(), 1e-12);
  EXPECT_LT((apply(invert(a), apply(a, x)) - x).abs().max().item<double>(), 1e-12);
  EXPECT_LT((invert_apply(a, x) - apply(invert(a), x)).abs().max().item<double>(), 1e-12);
  const Rigid one = compose(a, invert(a));
  EXPECT_LT((one.rots - at::eye(3, at::kDouble)).abs().max().item<double>(), 1e-12);
}

TEST(Rigid, FromThreePoints) {
  const at::Tensor p = at::tensor({-2.0F, 0.0F, 0.0F, 1.0F, 0.0F, 0.0F, 5.0F, 3.0F, 0.0F}).view({3, 3});
  const Rigid r = rigid_from_3_points(p[0], p[1], p[2]);
  EXPECT_LT((r.rots - at::eye(3)).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(at::equal(r.trans, p[1]));
  at::Tensor same = at::zeros({3, 3}).requires_grad_(true);
  const Rigid degenerate = rigid_from_3_points(same[0], same[1], same[2]);
  degenerate.rots.sum().backward();
  EXPECT_TRUE(same.grad().isfinite().all().item<bool>());
}

TEST(Rigid, OffsetsEqualTheReference) {
  const Rigid frames = {golden("frames.rots").unsqueeze(0), golden("frames.trans").unsqueeze(0)};
  const Rigid first = {frames.rots.narrow(1, 0, 1), frames.trans.narrow(1, 0, 1)};
  const at::Tensor found = offsets(first, frames).squeeze(0);
  EXPECT_LT(relative_difference(found, golden("offsets")), kTolerance);
  EXPECT_LT((found.narrow(-1, 0, 4) - golden("offsets").narrow(-1, 0, 4)).abs().max().item<double>(),
            kTolerance);
}

}  // namespace
}  // namespace mdgen::protein
