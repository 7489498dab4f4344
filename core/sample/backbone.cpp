#include "core/sample/backbone.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/sample/quality.h"

namespace mdgen::sample {
namespace {

using Vector = std::array<double, 3>;
using format::BackboneAtoms;

constexpr double kLongestBond = 2.0;  // Å, of C to the next N
constexpr std::size_t kN = 0, kCa = 1, kC = 2;

Vector minus(const Vector& a, const Vector& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector cross(const Vector& a, const Vector& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

bool bonded(const BackboneAtoms& residue, const BackboneAtoms& next) {
  const Vector bond = minus(next[kN], residue[kC]);
  return dot(bond, bond) <= kLongestBond * kLongestBond;
}

double plogp_over(double p, double m) { return p > 0 ? p * std::log(p / m) : 0; }

}  // namespace

double torsion(const Vector& a, const Vector& b, const Vector& c, const Vector& d) {
  const Vector first = minus(b, a);
  const Vector axis = minus(c, b);
  const Vector last = minus(d, c);
  const Vector normal = cross(axis, last);
  return std::atan2(dot(first, normal) * std::sqrt(dot(axis, axis)), dot(cross(first, axis), normal));
}

std::size_t Ramachandran::cell(double angle) const {
  const double share = angle / (2 * std::numbers::pi) + 0.5;
  return std::min(bins_ - 1, static_cast<std::size_t>(share * static_cast<double>(bins_)));
}

void Ramachandran::add(std::span<const BackboneAtoms> chain) {
  for (std::size_t i = 1; i + 1 < chain.size(); ++i) {
    const BackboneAtoms& here = chain[i];
    if (!bonded(chain[i - 1], here) || !bonded(here, chain[i + 1])) continue;
    const double phi = torsion(chain[i - 1][kC], here[kN], here[kCa], here[kC]);
    const double psi = torsion(here[kN], here[kCa], here[kC], chain[i + 1][kN]);
    ++counts_[cell(psi) * bins_ + cell(phi)];
    ++total_;
  }
}

double jensen_shannon(const Ramachandran& a, const Ramachandran& b) {
  if (a.total() == 0 || b.total() == 0 || a.bins() != b.bins())
    return std::numeric_limits<double>::quiet_NaN();
  double divergence = 0;
  for (std::size_t i = 0; i < a.counts().size(); ++i) {
    const double p = static_cast<double>(a.counts()[i]) / static_cast<double>(a.total());
    const double q = static_cast<double>(b.counts()[i]) / static_cast<double>(b.total());
    divergence += (plogp_over(p, (p + q) / 2) + plogp_over(q, (p + q) / 2)) / 2;
  }
  return std::sqrt(std::max(0.0, divergence));
}

std::vector<double> backbone_rmsf(std::span<const BackboneAtoms> atoms, std::size_t residues) {
  std::vector<protein::Point> calphas(atoms.size());
  for (std::size_t i = 0; i < atoms.size(); ++i) calphas[i] = atoms[i][kCa];
  return rmsf(std::move(calphas), residues);
}

}  // namespace mdgen::sample
