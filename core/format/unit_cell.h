// The periodic box of a simulation.
#pragma once

#include <array>

namespace mdgen::format {

// The three box vectors in Å, one a row; any orientation, any angles.
using UnitCell = std::array<std::array<double, 3>, 3>;

}  // namespace mdgen::format
