// Rigid superposition with the least root-mean-square distance (Horn, J. Opt. Soc. Am. A 4, 1987): the
// rotation is the quaternion that belongs to the largest eigenvalue of a symmetric 4 x 4 matrix. No LibTorch;
// double precision.
#pragma once

#include <array>
#include <span>
#include <vector>

namespace mdgen::protein {

using Point = std::array<double, 3>;

Point centroid(std::span<const Point> points);

// Thread-safe after construction.
class Superposition {
 public:
  // `reference` must not be empty.
  explicit Superposition(std::span<const Point> reference);

  // Moves `points`, as many as the reference has and in its order, onto the reference.
  void apply(std::span<Point> points) const;

  const Point& reference_centroid() const { return centroid_; }

 private:
  std::vector<Point> centred_;
  Point centroid_;
};

}  // namespace mdgen::protein
