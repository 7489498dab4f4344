#include "core/sample/quality.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "core/base/error.h"
#include "core/protein/superposition.h"

namespace mdgen::sample {
namespace {

using protein::Atom14Trajectory;
using protein::Point;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double squared_distance(const Point& a, const Point& b) {
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

double ca_distance(const Atom14Trajectory& trajectory, std::size_t frame, std::size_t residue) {
  return std::sqrt(squared_distance(trajectory.position(frame, residue, protein::kCalpha),
                                    trajectory.position(frame, residue + 1, protein::kCalpha)));
}

double radius_of(std::string_view atom) {
  switch (atom.front()) {
    case 'N':
      return 1.55;
    case 'O':
      return 1.52;
    case 'S':
      return 1.8;
    default:
      return 1.7;
  }
}

struct Atom {
  std::size_t place = 0;  // in atom14
  double radius = 0;
  bool is_sulphur_of_cysteine = false;
};

// A residue's heavy atoms and a sphere around its Cα that holds them all in the frame at hand.
struct Residue {
  std::vector<Atom> atoms;
  std::vector<Point> positions;
  double reach = 0;
};

std::vector<Residue> residues_of(const Atom14Trajectory& trajectory) {
  std::vector<Residue> residues;
  for (const int type : trajectory.types()) {
    Residue& residue = residues.emplace_back();
    const auto& names = protein::atom14_names(type);
    for (std::size_t place = 0; place < names.size(); ++place)
      if (!names[place].empty())
        residue.atoms.push_back({place, radius_of(names[place]), names[place] == "SG"});
    residue.positions.resize(residue.atoms.size());
  }
  return residues;
}

void load_frame(const Atom14Trajectory& trajectory, std::size_t frame, std::vector<Residue>& residues) {
  for (std::size_t r = 0; r < residues.size(); ++r) {
    Residue& residue = residues[r];
    residue.reach = 0;
    const Point center = trajectory.position(frame, r, protein::kCalpha);
    for (std::size_t i = 0; i < residue.atoms.size(); ++i) {
      residue.positions[i] = trajectory.position(frame, r, residue.atoms[i].place);
      residue.reach = std::max(residue.reach, std::sqrt(squared_distance(residue.positions[i], center)));
    }
  }
}

std::int64_t clashes_between(const Residue& a, const Residue& b, double overlap) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < a.atoms.size(); ++i) {
    for (std::size_t j = 0; j < b.atoms.size(); ++j) {
      if (a.atoms[i].is_sulphur_of_cysteine && b.atoms[j].is_sulphur_of_cysteine) continue;
      const double closest = a.atoms[i].radius + b.atoms[j].radius - overlap;
      if (closest > 0 && squared_distance(a.positions[i], b.positions[j]) < closest * closest) ++count;
    }
  }
  return count;
}

double widest_closest(double overlap) { return std::max(0.0, 2 * 1.8 - overlap); }

}  // namespace

double ca_distance_validity(const Atom14Trajectory& trajectory, const CaDistance& allowed) {
  std::size_t good = 0;
  for (std::size_t frame = 0; frame < trajectory.frames(); ++frame)
    for (std::size_t residue = 0; residue + 1 < trajectory.residues(); ++residue)
      if (std::abs(ca_distance(trajectory, frame, residue) - allowed.ideal) <= allowed.tolerance) ++good;
  const std::size_t pairs = trajectory.frames() * (trajectory.residues() - 1);
  return pairs == 0 ? kNaN : static_cast<double>(good) / static_cast<double>(pairs);
}

double unbroken_frames(const Atom14Trajectory& trajectory, double limit) {
  std::size_t whole = 0;
  for (std::size_t frame = 0; frame < trajectory.frames(); ++frame) {
    bool is_whole = true;
    for (std::size_t residue = 0; is_whole && residue + 1 < trajectory.residues(); ++residue)
      is_whole = ca_distance(trajectory, frame, residue) < limit;
    whole += is_whole ? 1 : 0;
  }
  return trajectory.frames() == 0 ? kNaN
                                  : static_cast<double>(whole) / static_cast<double>(trajectory.frames());
}

double clashes_per_frame(const Atom14Trajectory& trajectory, double overlap) {
  if (trajectory.frames() == 0) return kNaN;
  std::vector<Residue> residues = residues_of(trajectory);
  std::int64_t count = 0;
  for (std::size_t frame = 0; frame < trajectory.frames(); ++frame) {
    load_frame(trajectory, frame, residues);
    for (std::size_t i = 0; i < residues.size(); ++i) {
      for (std::size_t j = i + 2; j < residues.size(); ++j) {
        const double near = residues[i].reach + residues[j].reach + widest_closest(overlap);
        const double apart = squared_distance(trajectory.position(frame, i, protein::kCalpha),
                                              trajectory.position(frame, j, protein::kCalpha));
        if (apart < near * near) count += clashes_between(residues[i], residues[j], overlap);
      }
    }
  }
  return static_cast<double>(count) / static_cast<double>(trajectory.frames());
}

std::vector<double> rmsf(std::vector<protein::Point> points, std::size_t residues) {
  const auto is_finite = [](const Point& p) {
    return std::all_of(p.begin(), p.end(), [](double x) { return std::isfinite(x); });
  };
  if (points.empty() || !std::all_of(points.begin(), points.end(), is_finite))
    return std::vector<double>(residues, kNaN);

  const std::size_t frames = points.size() / residues;
  const std::span<Point> all(points);
  const protein::Superposition first(all.first(residues));
  for (std::size_t frame = 0; frame < frames; ++frame) first.apply(all.subspan(frame * residues, residues));
  std::vector<double> fluctuations(residues);
  for (std::size_t residue = 0; residue < residues; ++residue) {
    Point mean{};
    for (std::size_t frame = 0; frame < frames; ++frame)
      for (std::size_t i = 0; i < 3; ++i)
        mean[i] += points[frame * residues + residue][i] / static_cast<double>(frames);
    double sum = 0;
    for (std::size_t frame = 0; frame < frames; ++frame)
      sum += squared_distance(points[frame * residues + residue], mean);
    fluctuations[residue] = std::sqrt(sum / static_cast<double>(frames));
  }
  return fluctuations;
}

std::vector<double> ca_rmsf(const Atom14Trajectory& trajectory) {
  const std::size_t residues = trajectory.residues();
  std::vector<Point> points(trajectory.frames() * residues);
  for (std::size_t i = 0; i < points.size(); ++i)
    points[i] = trajectory.position(i / residues, i % residues, protein::kCalpha);
  return rmsf(std::move(points), residues);
}

double pearson(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size())
    throw Error(ErrorCode::kInternal,
                "correlation of " + std::to_string(a.size()) + " values with " + std::to_string(b.size()));
  if (a.size() < 2) return kNaN;
  const auto n = static_cast<double>(a.size());
  double mean_a = 0;
  double mean_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    mean_a += a[i] / n;
    mean_b += b[i] / n;
  }
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNaN;
}

}  // namespace mdgen::sample
