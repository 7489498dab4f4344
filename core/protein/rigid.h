// Rigid frames as tensors: x -> R x + t. Differentiable, any device and batch shape (*).
#pragma once

#include <torch/torch.h>

namespace mdgen::protein {

struct Rigid {
  at::Tensor rots;   // (*, 3, 3)
  at::Tensor trans;  // (*, 3)
};

// Gram-Schmidt: origin at `origin`, x axis from `p_neg_x_axis` to origin, xy plane through `p_xy_plane`
// (AlphaFold supplement, algorithm 21, in OpenFold's convention). `eps` guards the norms. Inputs (*, 3).
Rigid rigid_from_3_points(const at::Tensor& p_neg_x_axis, const at::Tensor& origin,
                          const at::Tensor& p_xy_plane, double eps = 1e-8);
Rigid compose(const Rigid& a, const Rigid& b);
Rigid invert(const Rigid& r);
at::Tensor apply(const Rigid& r, const at::Tensor& points);         // (*, 3)
at::Tensor invert_apply(const Rigid& r, const at::Tensor& points);  // (*, 3)

// Unit quaternions (w, x, y, z) with w >= 0, in closed form (largest of the four squared components first).
at::Tensor rot_to_quat(const at::Tensor& rots);  // (*, 3, 3) -> (*, 4)
// Quaternions of any length but 0, which counts as no rotation: (*, 4) -> (*, 3, 3).
at::Tensor quat_to_rot(const at::Tensor& quats);
at::Tensor to_tensor_7(const Rigid& r);           // (*, 7): quaternion, translation
Rigid from_tensor_7(const at::Tensor& tensor_7);  // the quaternion need not be of unit length

// frames (B, T, L): every frame relative to `reference` (B, 1, L), as (B, T, L, 7).
at::Tensor offsets(const Rigid& reference, const Rigid& frames);

}  // namespace mdgen::protein
