// A trajectory of atom14 coordinates that somebody else holds. No LibTorch.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/protein/residue_constants.h"

namespace mdgen::protein {

// (T, L, 14, 3) float32 in Å, C order, and the residue types (L) that say which of the 14 atoms are there.
// Valid as long as what it looks at. Thread-safe.
class Atom14Trajectory {
 public:
  // Throws Error(kInternal) unless `coordinates` holds whole frames of `types.size()` > 0 residues.
  Atom14Trajectory(std::span<const float> coordinates, std::span<const int> types);

  std::size_t frames() const { return frames_; }
  std::size_t residues() const { return types_.size(); }
  std::span<const float> coordinates() const { return coordinates_; }
  std::span<const int> types() const { return types_; }
  int type(std::size_t residue) const { return types_[residue]; }
  std::array<double, 3> position(std::size_t frame, std::size_t residue, std::size_t atom) const;

 private:
  std::span<const float> coordinates_;
  std::span<const int> types_;
  std::size_t frames_;
};

inline constexpr std::size_t kCalpha = 1;  // in atom14

}  // namespace mdgen::protein
