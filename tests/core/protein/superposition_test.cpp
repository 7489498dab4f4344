#include "core/protein/superposition.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/base/error.h"

namespace mdgen::protein {
namespace {

std::vector<Point> cloud(std::size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(5, 10);
  std::vector<Point> points(count);
  for (Point& point : points)
    for (double& value : point) value = normal(engine);
  return points;
}

// Euler angles about z, x, z: another way to a rotation than the code's.
Point moved(const Point& p, double a, double b, double c, const Point& shift) {
  const auto about_z = [](const Point& q, double angle) {
    return Point{std::cos(angle) * q[0] - std::sin(angle) * q[1],
                 std::sin(angle) * q[0] + std::cos(angle) * q[1], q[2]};
  };
  const Point first = about_z(p, a);
  const Point second = {first[0], std::cos(b) * first[1] - std::sin(b) * first[2],
                        std::sin(b) * first[1] + std::cos(b) * first[2]};
  const Point third = about_z(second, c);
  return {third[0] + shift[0], third[1] + shift[1], third[2] + shift[2]};
}

double sum_of_squares(std::span<const Point> a, std::span<const Point> b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k)
    for (std::size_t i = 0; i < 3; ++i) sum += (a[k][i] - b[k][i]) * (a[k][i] - b[k][i]);
  return sum;
}

TEST(Superposition, UndoesAnyMotion) {
  const std::vector<Point> reference = cloud(50, 1);
  const Superposition onto(reference);
  for (const double a : {0.0, 1.0, 3.0, M_PI})
    for (const double b : {0.0, 1e-9, 2.0, M_PI})
      for (const double c : {0.0, 0.5, 5.0}) {
        std::vector<Point> points;
        for (const Point& point : reference) points.push_back(moved(point, a, b, c, {100, -20, 3}));
        onto.apply(points);
        EXPECT_LT(sum_of_squares(points, reference), 1e-20) << a << " " << b << " " << c;
      }
}

// No small further motion brings noisy points closer: the least root-mean-square distance was found.
TEST(Superposition, IsOptimal) {
  const std::vector<Point> reference = cloud(40, 2);
  std::vector<Point> points = cloud(40, 3);
  Superposition(reference).apply(points);
  const double least = sum_of_squares(points, reference);
  const Point center = centroid(points);
  for (const double a : {-1e-3, 0.0, 1e-3})
    for (const double b : {-1e-3, 0.0, 1e-3})
      for (const double c : {-1e-3, 0.0, 1e-3}) {
        std::vector<Point> nearby;
        for (const Point& point : points) {
          const Point about = {point[0] - center[0], point[1] - center[1], point[2] - center[2]};
          nearby.push_back(moved(about, a, b, c, center));
        }
        EXPECT_GE(sum_of_squares(nearby, reference), least - 1e-9);
      }
}

TEST(Superposition, KeepsHandedness) {
  const std::vector<Point> reference = cloud(30, 4);
  std::vector<Point> mirrored = reference;
  for (Point& point : mirrored) point[0] = -point[0];
  Superposition(reference).apply(mirrored);
  EXPECT_GT(sum_of_squares(mirrored, reference), 100);
}

TEST(Superposition, FewPoints) {
  for (const std::size_t count : {1U, 2U, 3U}) {
    const std::vector<Point> reference = cloud(count, 5);
    std::vector<Point> points;
    for (const Point& point : reference) points.push_back(moved(point, 1, 2, 3, {7, 8, 9}));
    Superposition(reference).apply(points);
    EXPECT_LT(sum_of_squares(points, reference), 1e-20) << count;
  }
  EXPECT_THROW(Superposition(std::span<const Point>()), Error);
}

}  // namespace
}  // namespace mdgen::protein
