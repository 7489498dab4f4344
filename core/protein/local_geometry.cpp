#include "core/protein/local_geometry.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/protein/residue_constants.h"
#include "core/protein/tables.h"

namespace mdgen::protein {
namespace {

constexpr double kEps = 1e-8;  // as the reference's

// Positions in atom14.
constexpr std::int64_t kCA = 1;
constexpr std::int64_t kBackbone = 4;  // N, CA, C, O come first

// A residue's points: CA and C before it, its backbone, and its side chain from CB to the last chi's end.
enum Point : std::int64_t {
  kCABefore,
  kCBefore,
  kN,
  kCAOwn,
  kC,
  kO,
  kBeta,
  kGamma,
  kDelta,
  kEpsilon,
  kZeta,
  kPoints
};
constexpr std::int64_t kSideChain = 5;

// The four points of each angle. With the first three of them as (p_xy_plane, p_neg_x_axis, origin) of
// rigid_from_3_points(), an angle is that of the fourth about the x axis. The backbone's frame is an eighth
// such triple, half a turn about y from the reference's.
constexpr std::size_t kTriples = kTorsions + 1;
constexpr std::array<std::array<std::int64_t, kTriples>, 4> kAngles = {
    {{kCABefore, kCBefore, kN, kN, kCAOwn, kBeta, kGamma, kN},
     {kCBefore, kN, kCAOwn, kCAOwn, kBeta, kGamma, kDelta, kC},
     {kN, kCAOwn, kC, kBeta, kGamma, kDelta, kEpsilon, kCAOwn},
     {kCAOwn, kC, kO, kGamma, kDelta, kEpsilon, kZeta, /*none*/ kN}}};

// atom14 positions of CB … of each residue type's chi angles, N where there is no such.
const std::array<std::array<int, kSideChain>, 21>& side_chain_atoms() {
  static const auto table = [] {
    std::array<std::array<int, kSideChain>, 21> atoms{};
    for (std::size_t type = 0; type < atoms.size(); ++type) {
      for (std::size_t chi = 0; chi < 4; ++chi) {
        if (chi_mask()[type][chi] == 0) continue;
        for (const std::size_t end : {2U, 3U}) {
          const auto atom37 = static_cast<std::size_t>(chi_atom_indices()[type][chi][end]);
          atoms[type][chi + end - 2] = atom37_to_atom14()[type][atom37];
        }
      }
    }
    return atoms;
  }();
  return table;
}

at::Tensor index_of(const std::array<std::int64_t, kTriples>& points, std::size_t count,
                    const at::Tensor& like) {
  return at::tensor(at::IntArrayRef(points.data(), count), like.options().dtype(at::kLong));
}

// Values (B, *, 1 + L, 14, C) by atom -> by point, (B, *, L, kPoints, C).
at::Tensor by_point(const at::Tensor& atoms, const at::Tensor& aatype) {
  const std::int64_t residues = aatype.size(-1);
  const at::Tensor own = atoms.narrow(-3, 1, residues);
  std::vector<std::int64_t> sizes = own.sizes().vec();
  sizes[sizes.size() - 2] = kSideChain;
  std::vector<std::int64_t> index_sizes(sizes.size(), 1);
  index_sizes.front() = aatype.size(0);
  index_sizes[sizes.size() - 3] = residues;
  index_sizes[sizes.size() - 2] = kSideChain;
  const at::Tensor index = rows_by_type(side_chain_atoms(), aatype).view(index_sizes).expand(sizes);
  return at::cat(
      {atoms.narrow(-3, 0, residues).narrow(-2, kCA, 2), own.narrow(-2, 0, kBackbone), own.gather(-2, index)},
      -2);
}

// Vectors as three planes, (3, *): products are added in the order x, y, z.
at::Tensor dot3(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor products = a * b;
  return products[0].add_(products[1]).add_(products[2]);
}

at::Tensor unit(const at::Tensor& v) { return v / dot3(v, v).add_(kEps).sqrt_(); }

// at::linalg_cross goes from element to element, and may fuse its products.
at::Tensor cross_planes(const at::Tensor& a, const at::Tensor& b) {
  at::Tensor c = at::empty_like(a);
  for (const auto& [axis, next, last] : {std::array{0, 1, 2}, std::array{1, 2, 0}, std::array{2, 0, 1}}) {
    at::Tensor plane = c[axis];
    at::sub_out(plane, a[next] * b[last], a[last] * b[next]);
  }
  return c;
}

struct Axes {
  at::Tensor x, y, z, origin;  // (3, kTriples, *)
};

Axes gram_schmidt(const at::Tensor& points) {
  const auto pick = [&](std::size_t which) {
    return points.index_select(1, index_of(kAngles[which], kTriples, points));
  };
  const at::Tensor origin = pick(2);
  const at::Tensor x = unit(origin - pick(1));
  const at::Tensor in_plane = pick(0).sub_(origin);
  const at::Tensor y = unit(in_plane - x * dot3(x, in_plane));
  return {x, y, cross_planes(x, y), origin};
}

// (B, T, L, 7, 2).
at::Tensor sines_and_cosines(const at::Tensor& points, const Axes& axes, const at::Tensor& aatype) {
  const at::Tensor fourth = points.index_select(1, index_of(kAngles[3], kTorsions, points))
                                .sub_(axes.origin.narrow(1, 0, kTorsions));
  const at::Tensor sin = dot3(axes.z.narrow(1, 0, kTorsions), fourth);
  const at::Tensor cos = dot3(axes.y.narrow(1, 0, kTorsions), fourth);
  const at::Tensor norm = (sin * sin).add_(cos * cos).add_(kEps).sqrt_();
  // psi is measured to O, half a turn from the next N.
  const at::Tensor sign = at::tensor({1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0}, sin.options()).view({-1, 1});
  const at::Tensor angles = at::stack({sin, cos}).div_(norm).permute({2, 3, 4, 1, 0}).contiguous();
  const at::Tensor has_chi = rows_by_type(chi_mask(), aatype);
  const at::Tensor has = at::cat({at::ones_like(has_chi.narrow(-1, 0, 3)), has_chi}, -1);
  return angles * (has.unsqueeze(1).unsqueeze(-1) * sign);
}

Rigid backbone(const Axes& axes) {
  constexpr std::int64_t kFrame = kTorsions;
  const auto axis = [&](const at::Tensor& planes) { return planes.select(1, kFrame); };
  const at::Tensor half_turn = at::tensor({-1.0, 1.0, -1.0}, axes.x.options());
  const at::Tensor columns = at::stack({axis(axes.x), axis(axes.y), axis(axes.z)});
  return {columns.permute({2, 3, 4, 1, 0}) * half_turn, axis(axes.origin).permute({1, 2, 3, 0}).contiguous()};
}

LocalGeometry all_at_once(const at::Tensor& atom14, const at::Tensor& aatype) {
  const at::Tensor rows = by_point(atom14, aatype).permute({4, 3, 0, 1, 2});
  const at::Tensor points = at::empty(rows.sizes(), rows.options().dtype(at::kFloat)).copy_(rows);
  const Axes axes = gram_schmidt(points);
  return {backbone(axes), sines_and_cosines(points, axes, aatype)};
}

// On a CPU intermediate values should stay in its cache; on a GPU all frames go together.
std::int64_t frames_at_a_time(const at::Tensor& atom14) {
  constexpr std::int64_t kResidues = 4096;
  if (!atom14.is_cpu()) return atom14.size(1);
  return std::max<std::int64_t>(1, kResidues / (atom14.size(0) * atom14.size(2)));
}

}  // namespace

LocalGeometry local_geometry(const at::Tensor& atom14, const at::Tensor& aatype) {
  const std::int64_t step = frames_at_a_time(atom14);
  if (step >= atom14.size(1)) return all_at_once(atom14, aatype);
  std::vector<at::Tensor> rots, trans, torsions;
  for (const at::Tensor& frames : atom14.split(step, 1)) {
    LocalGeometry part = all_at_once(frames, aatype);
    rots.push_back(std::move(part.frames.rots));
    trans.push_back(std::move(part.frames.trans));
    torsions.push_back(std::move(part.torsions));
  }
  return {{at::cat(rots, 1), at::cat(trans, 1)}, at::cat(torsions, 1)};
}

at::Tensor defined_torsions(const at::Tensor& present, const at::Tensor& aatype) {
  const at::Tensor points = by_point(present.unsqueeze(-1), aatype).squeeze(-1);
  at::Tensor all_four = at::ones({}, present.options());
  for (const auto& point : kAngles)
    all_four = all_four * points.index_select(-1, index_of(point, kTorsions, points));
  const at::Tensor has_chi = rows_by_type(chi_mask(), aatype, present.scalar_type());
  return all_four * at::cat({at::ones_like(has_chi.narrow(-1, 0, 3)), has_chi}, -1);
}

at::Tensor with_predecessor(const at::Tensor& values, std::int64_t dim) {
  return at::cat({at::zeros_like(values.narrow(dim, 0, 1)), values}, dim);
}

}  // namespace mdgen::protein
