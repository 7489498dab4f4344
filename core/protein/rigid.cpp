#include "core/protein/rigid.h"

namespace mdgen::protein {
namespace {

at::Tensor dot_keepdim(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum(-1, /*keepdim=*/true); }

at::Tensor unit(const at::Tensor& v, double eps) { return v / (dot_keepdim(v, v) + eps).sqrt(); }

// Element by element rather than by a matrix product, which a GPU may round to TF32 or bf16.
at::Tensor rotate(const at::Tensor& rots, const at::Tensor& points) {
  return (rots * points.unsqueeze(-2)).sum(-1);
}

at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b) {
  return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(-2);
}

// 4 q qᵀ of the quaternion q = (w, x, y, z): (*, 4, 4).
at::Tensor outer_quaternion(const at::Tensor& rots) {
  const std::vector<at::Tensor> m = rots.flatten(-2).unbind(-1);
  const at::Tensor &xx = m[0], &yy = m[4], &zz = m[8];
  const at::Tensor wx = m[7] - m[5];
  const at::Tensor wy = m[2] - m[6];
  const at::Tensor wz = m[3] - m[1];
  const at::Tensor xy = m[1] + m[3];
  const at::Tensor xz = m[2] + m[6];
  const at::Tensor yz = m[5] + m[7];
  return at::stack({xx + yy + zz + 1, wx, wy, wz,  //
                    wx, xx - yy - zz + 1, xy, xz,  //
                    wy, xy, yy - xx - zz + 1, yz,  //
                    wz, xz, yz, zz - xx - yy + 1},
                   -1)
      .unflatten(-1, {4, 4});
}

}  // namespace

Rigid rigid_from_3_points(const at::Tensor& p_neg_x_axis, const at::Tensor& origin,
                          const at::Tensor& p_xy_plane, double eps) {
  const at::Tensor x = unit(origin - p_neg_x_axis, eps);
  const at::Tensor in_plane = p_xy_plane - origin;
  const at::Tensor y = unit(in_plane - x * dot_keepdim(x, in_plane), eps);
  return {at::stack({x, y, at::linalg_cross(x, y)}, -1), origin};
}

Rigid compose(const Rigid& a, const Rigid& b) {
  return {matrix_product(a.rots, b.rots), rotate(a.rots, b.trans) + a.trans};
}

Rigid invert(const Rigid& r) {
  const at::Tensor transposed = r.rots.transpose(-1, -2);
  return {transposed, -rotate(transposed, r.trans)};
}

at::Tensor apply(const Rigid& r, const at::Tensor& points) { return rotate(r.rots, points) + r.trans; }

at::Tensor invert_apply(const Rigid& r, const at::Tensor& points) {
  return rotate(r.rots.transpose(-1, -2), points - r.trans);
}

at::Tensor rot_to_quat(const at::Tensor& rots) {
  const at::Tensor outer = outer_quaternion(rots);
  const at::Tensor largest = outer.diagonal(0, -2, -1).argmax(-1);
  std::vector<std::int64_t> row = largest.sizes().vec();
  row.insert(row.end(), {1, 4});
  const at::Tensor index = largest.unsqueeze(-1).unsqueeze(-1).expand(row);
  const at::Tensor scaled = outer.gather(-2, index).squeeze(-2);
  const at::Tensor quat = scaled / dot_keepdim(scaled, scaled).sqrt();
  return at::where(quat.narrow(-1, 0, 1) < 0, -quat, quat);
}

at::Tensor quat_to_rot(const at::Tensor& quats) {
  const at::Tensor length = dot_keepdim(quats, quats).sqrt();
  const at::Tensor none = torch::tensor({1.0, 0.0, 0.0, 0.0}, quats.options());
  const std::vector<at::Tensor> q = at::where(length > 0, quats / length, none).unbind(-1);
  const at::Tensor &w = q[0], &x = q[1], &y = q[2], &z = q[3];
  return at::stack({w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y),  //
                    2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x),  //
                    2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z},
                   -1)
      .unflatten(-1, {3, 3});
}

Rigid from_tensor_7(const at::Tensor& tensor_7) {
  return {quat_to_rot(tensor_7.narrow(-1, 0, 4)), tensor_7.narrow(-1, 4, 3)};
}

at::Tensor to_tensor_7(const Rigid& r) { return at::cat({rot_to_quat(r.rots), r.trans}, -1); }

at::Tensor offsets(const Rigid& reference, const Rigid& frames) {
  return to_tensor_7(compose(invert(reference), frames));
}

}  // namespace mdgen::protein
