#include "core/protein/superposition.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/base/error.h"

namespace mdgen::protein {
namespace {

using Matrix3 = std::array<std::array<double, 3>, 3>;
using Matrix4 = std::array<std::array<double, 4>, 4>;
using Quaternion = std::array<double, 4>;

// Horn's matrix from s[a][b] = sum over points of mobile_a reference_b.
Matrix4 horn_matrix(const Matrix3& s) {
  const double trace = s[0][0] + s[1][1] + s[2][2];
  Matrix4 n{};
  n[0] = {trace, s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]};
  for (std::size_t i = 0; i < 3; ++i) {
    n[i + 1][0] = n[0][i + 1];
    for (std::size_t j = 0; j < 3; ++j) n[i + 1][j + 1] = s[i][j] + s[j][i] - (i == j ? trace : 0);
  }
  return n;
}

// One Jacobi rotation that makes a[p][q] zero, gathered into the columns of `vectors`.
void eliminate(Matrix4& a, Matrix4& vectors, std::size_t p, std::size_t q) {
  if (a[p][q] == 0) return;
  const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const double t = std::copysign(1.0, theta) / (std::abs(theta) + std::hypot(theta, 1.0));
  const double c = 1 / std::hypot(t, 1.0);
  const double s = t * c;
  for (std::size_t k = 0; k < 4; ++k) {
    const double kp = a[k][p];
    a[k][p] = c * kp - s * a[k][q];
    a[k][q] = s * kp + c * a[k][q];
  }
  for (std::size_t k = 0; k < 4; ++k) {
    const double pk = a[p][k];
    a[p][k] = c * pk - s * a[q][k];
    a[q][k] = s * pk + c * a[q][k];
  }
  for (std::size_t k = 0; k < 4; ++k) {
    const double kp = vectors[k][p];
    vectors[k][p] = c * kp - s * vectors[k][q];
    vectors[k][q] = s * kp + c * vectors[k][q];
  }
}

// The unit eigenvector of the largest eigenvalue. Cyclic Jacobi converges quadratically: five sweeps or so.
Quaternion largest_eigenvector(Matrix4 a) {
  Matrix4 vectors{};
  for (std::size_t i = 0; i < 4; ++i) vectors[i][i] = 1;
  constexpr int kMaxSweeps = 50;
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    double off_diagonal = 0;
    double diagonal = 0;
    for (std::size_t p = 0; p < 4; ++p) {
      diagonal += a[p][p] * a[p][p];
      for (std::size_t q = p + 1; q < 4; ++q) off_diagonal += a[p][q] * a[p][q];
    }
    if (off_diagonal <= 1e-30 * diagonal) break;
    for (std::size_t p = 0; p < 4; ++p)
      for (std::size_t q = p + 1; q < 4; ++q) eliminate(a, vectors, p, q);
  }
  std::size_t best = 0;
  for (std::size_t i = 1; i < 4; ++i)
    if (a[i][i] > a[best][best]) best = i;
  return {vectors[0][best], vectors[1][best], vectors[2][best], vectors[3][best]};
}

Matrix3 rotation(const Quaternion& quaternion) {
  const auto [w, x, y, z] = quaternion;
  return {{{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
           {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
           {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}}};
}

Point minus(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }

}  // namespace

Point centroid(std::span<const Point> points) {
  Point sum{};
  for (const Point& point : points)
    for (std::size_t i = 0; i < 3; ++i) sum[i] += point[i];
  for (double& value : sum) value /= static_cast<double>(points.size());
  return sum;
}

Superposition::Superposition(std::span<const Point> reference)
    : centred_(reference.begin(), reference.end()), centroid_(centroid(reference)) {
  if (reference.empty()) throw Error(ErrorCode::kInternal, "superposition on no points");
  for (Point& point : centred_) point = minus(point, centroid_);
}

void Superposition::apply(std::span<Point> points) const {
  if (points.size() != centred_.size())
    throw Error(ErrorCode::kInternal, "superposition of " + std::to_string(points.size()) + " points on " +
                                          std::to_string(centred_.size()));
  // The reference is centred, so the points need not be: sum (p - c) r = sum p r.
  Point center{};
  Matrix3 correlation{};
  for (std::size_t k = 0; k < points.size(); ++k) {
    const Point p = points[k];
    const Point r = centred_[k];
    for (std::size_t i = 0; i < 3; ++i) {
      center[i] += p[i];
      for (std::size_t j = 0; j < 3; ++j) correlation[i][j] += p[i] * r[j];
    }
  }
  for (double& value : center) value /= static_cast<double>(points.size());
  const Matrix3 r = rotation(largest_eigenvector(horn_matrix(correlation)));
  Point shift = centroid_;
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) shift[i] -= r[i][j] * center[j];
  for (Point& point : points) {
    const Point p = point;
    for (std::size_t i = 0; i < 3; ++i)
      point[i] = r[i][0] * p[0] + r[i][1] * p[1] + r[i][2] * p[2] + shift[i];
  }
}

}  // namespace mdgen::protein
