#include "core/prep/whole_molecule.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace mdgen::prep {
namespace {

constexpr double kNarrowestCell = 2 * kLongestBond;

Point minus(const Point& a, const Point& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }

double squared_length(const Point& v) { return v[0] * v[0] + v[1] * v[1] + v[2] * v[2]; }

}  // namespace

WholeMolecule::WholeMolecule(const Selection& selection, BrokenImages broken)
    : selection_(selection), broken_(broken) {
  for (const Bond& bond : bond_tree(selection)) links_.push_back({bond, std::nullopt});
}

bool WholeMolecule::whole_at_a_glance(std::span<const Point> atoms) const {
  return judged_ && std::all_of(links_.begin(), links_.end(), [&](const Link& link) {
           return !link.gap && squared_length(minus(atoms[link.bond.atom], atoms[link.bond.parent])) <=
                                   kLongestBond * kLongestBond;
         });
}

void WholeMolecule::judge_links(std::span<const Point> atoms, const std::optional<Images>& images) {
  for (Link& link : links_) {
    if (!link.bond.between_residues) continue;
    const Point here = minus(atoms[link.bond.atom], atoms[link.bond.parent]);
    const double found = link.bond.topology_length.value_or(length(images ? images->shortest(here) : here));
    if (found > kLongestPeptideBond) link.gap = found;
  }
  judged_ = true;
}

bool WholeMolecule::mend_in(std::span<Point> atoms, const std::optional<format::UnitCell>& cell) {
  const std::optional<Images> images = Images::of(cell, kNarrowestCell);
  if (!judged_) judge_links(atoms, images);
  bool moved = false;
  for (const Link& link : links_) {
    const Point& parent = atoms[link.bond.parent];
    Point& atom = atoms[link.bond.atom];
    const Point displacement = minus(atom, parent);
    const Point wanted = mended(link, displacement, images);
    if (wanted == displacement) continue;
    for (std::size_t axis = 0; axis < 3; ++axis) atom[axis] = parent[axis] + wanted[axis];
    moved = true;
  }
  return moved;
}

Point WholeMolecule::mended(const Link& link, const Point& displacement,
                            const std::optional<Images>& images) const {
  const double here = length(displacement);
  Point wanted = displacement;
  if (link.gap) {
    constexpr double kPartOfCell = 0.25;
    if (!images || std::abs(here - *link.gap) <= kPartOfCell * images->narrowest_width()) return displacement;
    wanted = images->nearest_to_length(displacement, *link.gap);
    if (std::abs(length(wanted) - *link.gap) >= std::abs(here - *link.gap)) return displacement;
  } else {
    if (here <= kLongestBond) return displacement;
    const std::string text = fmt::format("{} is {:.1f} Å long", name(link.bond), here);
    if (!images)
      throw Error(
          ErrorCode::kDataLoss,
          text + ", and the frame has no unit cell by which broken periodic images could be told and mended");
    wanted = images->shortest(displacement);
    if (length(wanted) > kLongestBond)
      throw Error(ErrorCode::kDataLoss,
                  fmt::format("{}, in no periodic image shorter than {:.1f} Å", text, length(wanted)));
  }
  if (broken_ == BrokenImages::kRefuse)
    throw Error(
        ErrorCode::kDataLoss,
        fmt::format("broken periodic images: {} is {:.1f} Å long, {:.1f} Å in another image; --unwrap mends "
                    "it",
                    name(link.bond), here, length(wanted)));
  return wanted;
}

std::string WholeMolecule::name(const Bond& bond) const {
  const std::string& parent = selection_.residues[selection_.atoms[bond.parent].residue];
  if (!bond.between_residues)
    return fmt::format("residue {}: the bond {}-{}", parent, selection_.atoms[bond.parent].name,
                       selection_.atoms[bond.atom].name);
  return fmt::format("residues {} and {}: C-N", parent,
                     selection_.residues[selection_.atoms[bond.atom].residue]);
}

}  // namespace mdgen::prep
