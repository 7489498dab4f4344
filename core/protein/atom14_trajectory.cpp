#include "core/protein/atom14_trajectory.h"

#include <string>

#include "core/base/error.h"

namespace mdgen::protein {

Atom14Trajectory::Atom14Trajectory(std::span<const float> coordinates, std::span<const int> types)
    : coordinates_(coordinates), types_(types), frames_(0) {
  const std::size_t frame = types.size() * kAtom14 * 3;
  if (frame == 0 || coordinates.size() % frame != 0) {
    throw Error(ErrorCode::kInternal, std::to_string(coordinates.size()) + " coordinates are no frames of " +
                                          std::to_string(types.size()) + " residues");
  }
  frames_ = coordinates.size() / frame;
}

std::array<double, 3> Atom14Trajectory::position(std::size_t frame, std::size_t residue,
                                                 std::size_t atom) const {
  const float* at = &coordinates_[((frame * residues() + residue) * kAtom14 + atom) * 3];
  return {at[0], at[1], at[2]};
}

}  // namespace mdgen::protein
