// Periodic images. Pure functions.
#pragma once

#include <optional>
#include <vector>

#include "core/format/unit_cell.h"
#include "core/protein/superposition.h"

namespace mdgen::prep {

using protein::Point;

double length(const Point& vector);

// The images of a displacement in a cell of any shape. For skewed cells the lattice must be reduced, as
// simulation programs write it: the shortest image then is among the 27 around the rounded one.
class Images {
 public:
  // Nothing for a cell that cannot hold a molecule: its narrowest width is below `least_width` (Å), as in PDB
  // files that say 1 x 1 x 1 for "none".
  static std::optional<Images> of(const std::optional<format::UnitCell>& cell, double least_width);

  double narrowest_width() const { return width_; }
  Point shortest(const Point& displacement) const;
  // The image whose length is nearest to `wanted`.
  Point nearest_to_length(const Point& displacement, double wanted) const;

 private:
  template <typename Cost>
  Point best(const Point& displacement, Cost cost) const;

  format::UnitCell cell_{};
  format::UnitCell inverse_{};  // its columns are the reciprocal vectors
  double width_ = 0;
};

}  // namespace mdgen::prep
