// Whether a frame shows the molecule in one piece, or parts of it in other images of the periodic box.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/format/unit_cell.h"
#include "core/prep/bonds.h"
#include "core/prep/images.h"
#include "core/prep/selection.h"

namespace mdgen::prep {

enum class BrokenImages { kRefuse, kMend };

// One thread at a time.
//
// A bond longer than kLongestBond is broken when the frame's cell has an image of it that is shorter; when it
// has none, or there is no cell, the frame is damaged or cannot be judged. A gap of the chain (residues that
// are missing: C-N is no bond in the topology's coordinates; in frame 0, when it has none) may have any
// length; it is broken only when it is longer or shorter than there by more than a quarter of the cell's
// width and another image comes nearer.
class WholeMolecule {
 public:
  WholeMolecule(const Selection& selection, BrokenImages broken);

  // Moves atoms to the image of the atom that they are bonded to, in place; a molecule in one piece stays as
  // it is, to the bit. `cell` gives the frame's box and is asked only when it is needed. True when an atom
  // was moved. Throws Error(kDataLoss) with the residues and the length, without file and frame.
  template <typename Cell>
  bool mend(std::span<Point> atoms, Cell cell) {
    return whole_at_a_glance(atoms) ? false : mend_in(atoms, cell());
  }

 private:
  struct Link {
    Bond bond;
    std::optional<double> gap;  // its length; nothing for a bond
  };

  bool whole_at_a_glance(std::span<const Point> atoms) const;
  bool mend_in(std::span<Point> atoms, const std::optional<format::UnitCell>& cell);
  void judge_links(std::span<const Point> atoms, const std::optional<Images>& images);
  // The displacement that the link should have.
  Point mended(const Link& link, const Point& displacement, const std::optional<Images>& images) const;
  std::string name(const Bond& bond) const;

  const Selection& selection_;
  BrokenImages broken_;
  std::vector<Link> links_;
  bool judged_ = false;  // which links are gaps
};

}  // namespace mdgen::prep
