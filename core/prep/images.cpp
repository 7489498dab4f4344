#include "core/prep/images.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace mdgen::prep {
namespace {

Point cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

}  // namespace

double length(const Point& vector) { return std::sqrt(dot(vector, vector)); }

std::optional<Images> Images::of(const std::optional<format::UnitCell>& cell, double least_width) {
  if (!cell) return std::nullopt;
  Images images;
  images.cell_ = *cell;
  const auto& [a, b, c] = *cell;
  const double volume = dot(a, cross(b, c));
  const Point faces[] = {cross(b, c), cross(c, a), cross(a, b)};
  images.width_ = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < 3; ++i) {
    images.width_ = std::min(images.width_, std::abs(volume) / length(faces[i]));
    for (std::size_t axis = 0; axis < 3; ++axis) images.inverse_[axis][i] = faces[i][axis] / volume;
  }
  return images.width_ >= least_width ? std::optional(images) : std::nullopt;
}

template <typename Cost>
Point Images::best(const Point& displacement, Cost cost) const {
  Point rounded = displacement;
  for (std::size_t i = 0; i < 3; ++i) {
    double fraction = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) fraction += displacement[axis] * inverse_[axis][i];
    for (std::size_t axis = 0; axis < 3; ++axis) rounded[axis] -= std::round(fraction) * cell_[i][axis];
  }
  Point found = rounded;
  for (int i = -1; i <= 1; ++i)
    for (int j = -1; j <= 1; ++j)
      for (int k = -1; k <= 1; ++k) {
        Point image = rounded;
        for (std::size_t axis = 0; axis < 3; ++axis)
          image[axis] += i * cell_[0][axis] + j * cell_[1][axis] + k * cell_[2][axis];
        if (cost(image) < cost(found)) found = image;
      }
  return found;
}

Point Images::shortest(const Point& displacement) const { return best(displacement, length); }

Point Images::nearest_to_length(const Point& displacement, double wanted) const {
  return best(displacement, [&](const Point& image) { return std::abs(length(image) - wanted); });
}

}  // namespace mdgen::prep
