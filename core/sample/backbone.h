// What pictures of sampled motion show: backbone angles and fluctuations. Plain functions on coordinates. No
// LibTorch; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/format/backbone_pdb.h"

namespace mdgen::sample {

// The torsion angle a-b-c-d in radians, in (-pi, pi], positive clockwise seen from b to c (IUPAC-IUB 1970).
double torsion(const std::array<double, 3>& a, const std::array<double, 3>& b, const std::array<double, 3>& c,
               const std::array<double, 3>& d);

// Where phi and psi lie: counts of bins x bins cells, rows by psi and columns by phi, both from -180 degrees
// on.
class Ramachandran {
 public:
  explicit Ramachandran(std::size_t bins = 36) : bins_(bins), counts_(bins * bins) {}

  // One frame of a chain: every residue that has both neighbours. A bond C-N longer than 2 Å is a break,
  // which no angle is taken across.
  void add(std::span<const format::BackboneAtoms> chain);

  std::size_t bins() const { return bins_; }
  const std::vector<std::int64_t>& counts() const { return counts_; }
  std::int64_t total() const { return total_; }

 private:
  std::size_t cell(double angle) const;

  std::size_t bins_;
  std::vector<std::int64_t> counts_;
  std::int64_t total_ = 0;
};

// The Jensen-Shannon distance, sqrt of the divergence in nats, as scipy.spatial.distance.jensenshannon: 0 for
// equal ones, sqrt(ln 2) for ones without a cell in common. NaN when one is empty.
double jensen_shannon(const Ramachandran& a, const Ramachandran& b);

// The fluctuation of each residue's Cα (rmsf() in quality.h). `atoms` (frames, residues).
std::vector<double> backbone_rmsf(std::span<const format::BackboneAtoms> atoms, std::size_t residues);

}  // namespace mdgen::sample
