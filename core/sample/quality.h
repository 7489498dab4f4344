// How protein-like a trajectory is. Plain functions on coordinates. No LibTorch; thread-safe.
#pragma once

#include <span>
#include <vector>

#include "core/protein/atom14_trajectory.h"
#include "core/protein/superposition.h"

namespace mdgen::sample {

// Neighbouring Cα of a trans peptide are 3.80 Å apart (a cis one's, 2.9 Å, count as bad).
struct CaDistance {
  double ideal = 3.8;      // Å
  double tolerance = 0.4;  // Å
};
// The fraction of the pairs of neighbouring residues, over all frames, whose Cα lie within the tolerance. NaN
// for a single residue.
double ca_distance_validity(const protein::Atom14Trajectory& trajectory, const CaDistance& allowed = {});

// The fraction of frames in which no two neighbouring Cα are `limit` Å or more apart. 4.5 Å is where BioEmu
// (Lewis et al., Science 389, 2025; convert_chemgraph.py) takes a chain for broken.
double unbroken_frames(const protein::Atom14Trajectory& trajectory, double limit = 4.5);

// Clashes of a frame, on average: pairs of heavy atoms of residues that are not neighbours in the chain,
// closer than the sum of their van der Waals radii less `overlap`. Definition, radii (C 1.7, N 1.55, O 1.52,
// S 1.8 Å) and 1.5 Å from AlphaFold's between-residue clashes (Jumper et al., Nature 596, 2021, supplement
// 1.9.11). Pairs SG-SG of two cysteines are left out: they may be bonded.
double clashes_per_frame(const protein::Atom14Trajectory& trajectory, double overlap = 1.5);

// Root-mean-square fluctuation (Å) of each residue's point around its mean, all frames superposed on the
// first. `points` (frames, residues). NaN where coordinates are not finite, and without frames.
std::vector<double> rmsf(std::vector<protein::Point> points, std::size_t residues);

// The same of a trajectory's Cα.
std::vector<double> ca_rmsf(const protein::Atom14Trajectory& trajectory);

// Pearson's correlation of two series of one length. NaN for fewer than two values or a constant series.
double pearson(std::span<const double> a, std::span<const double> b);

}  // namespace mdgen::sample
