#include "tests/support/synthetic_dataset.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <numbers>
#include <span>

#include "core/base/philox.h"
#include "core/format/npy.h"
#include "core/protein/residue_constants.h"

namespace mdgen::testing {
namespace {

using Vector = std::array<double, 3>;

Vector operator+(const Vector& a, const Vector& b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
Vector operator-(const Vector& a, const Vector& b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
Vector operator*(double s, const Vector& a) { return {s * a[0], s * a[1], s * a[2]}; }
double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector cross(const Vector& a, const Vector& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
double length(const Vector& a) { return std::sqrt(dot(a, a)); }
Vector unit(const Vector& a) { return (1 / length(a)) * a; }

struct Frame {
  std::array<Vector, 3> axes;  // columns of the rotation
  Vector origin;

  Vector rotate(const Vector& v) const { return v[0] * axes[0] + v[1] * axes[1] + v[2] * axes[2]; }
  Vector apply(const Vector& v) const { return rotate(v) + origin; }
  Frame then(const Frame& inner) const {
    return {{rotate(inner.axes[0]), rotate(inner.axes[1]), rotate(inner.axes[2])}, apply(inner.origin)};
  }
};

Frame turn_about_x(double angle) {
  return {{{{1, 0, 0}, {0, std::cos(angle), std::sin(angle)}, {0, -std::sin(angle), std::cos(angle)}}}, {}};
}

// Origin CA, C on the x axis, N in the xy plane.
Frame backbone_frame(const Vector& n, const Vector& ca, const Vector& c) {
  const Vector x = unit(c - ca);
  const Vector to_n = n - ca;
  const Vector y = unit(to_n - dot(to_n, x) * x);
  return {{x, y, cross(x, y)}, ca};
}

// The point at `distance` from c with angle b-c-x and dihedral a-b-c-x.
Vector place(const Vector& a, const Vector& b, const Vector& c, double distance, double angle,
             double dihedral) {
  const Vector axis = unit(c - b);
  const Vector normal = unit(cross(b - a, axis));
  const Vector inner = cross(normal, axis);
  return c + distance * (-std::cos(angle) * axis + std::sin(angle) * std::cos(dihedral) * inner +
                         std::sin(angle) * std::sin(dihedral) * normal);
}

Vector ideal_position(int type, int atom) {
  const auto& p =
      protein::atom14_rigid_group_positions()[static_cast<std::size_t>(type)][static_cast<std::size_t>(atom)];
  return {p[0], p[1], p[2]};
}

Frame default_frame(int type, int group) {
  const auto& m =
      protein::rigid_group_default_frame()[static_cast<std::size_t>(type)][static_cast<std::size_t>(group)];
  return {{{{m[0], m[4], m[8]}, {m[1], m[5], m[9]}, {m[2], m[6], m[10]}}}, {m[3], m[7], m[11]}};
}

constexpr double kDegree = std::numbers::pi / 180;

// The frame of the residue after `frame`, with the ideal N-CA-C of its own type.
Frame next_backbone(const Frame& frame, int type, int next_type, double psi, double omega, double phi) {
  const Vector n = frame.apply(ideal_position(type, 0));
  const Vector ca = frame.origin;
  const Vector c = frame.apply(ideal_position(type, 2));
  const Vector ideal_n = ideal_position(next_type, 0);
  const Vector ideal_c = ideal_position(next_type, 2);
  const double angle = std::acos(dot(unit(ideal_n), unit(ideal_c)));
  const Vector next_n = place(n, ca, c, 1.329, 117.2 * kDegree, psi);
  const Vector next_ca = place(ca, c, next_n, length(ideal_n), 121.7 * kDegree, omega);
  return backbone_frame(next_n, next_ca, place(c, next_n, next_ca, length(ideal_c), angle, phi));
}

void write_residue(const Frame& backbone, int type, const std::array<double, 7>& torsions,
                   std::span<Vector> atoms) {
  std::array<Frame, 8> groups;
  groups[0] = backbone;
  for (int group = 1; group < 8; ++group) {
    const Frame& parent = groups[group > 4 ? static_cast<std::size_t>(group - 1) : 0];
    groups[static_cast<std::size_t>(group)] =
        parent.then(default_frame(type, group))
            .then(turn_about_x(torsions[static_cast<std::size_t>(group - 1)]));
  }
  for (std::size_t atom = 0; atom < atoms.size(); ++atom) {
    const auto row = static_cast<std::size_t>(type);
    const auto group = static_cast<std::size_t>(protein::atom14_rigid_group()[row][atom]);
    if (protein::atom14_mask()[row][atom] > 0)
      atoms[atom] = groups[group].apply(ideal_position(type, static_cast<int>(atom)));
  }
}

void centre(std::span<Vector> atoms, const std::string& sequence) {
  const auto present = [&](std::size_t i) {
    return protein::atom14_mask()[static_cast<std::size_t>(protein::residue_type(sequence[i / 14]))][i % 14] >
           0;
  };
  Vector sum{};
  double count = 0;
  for (std::size_t i = 0; i < atoms.size(); ++i) {
    if (!present(i)) continue;
    sum = sum + atoms[i];
    count += 1;
  }
  for (std::size_t i = 0; i < atoms.size(); ++i) {
    if (present(i)) atoms[i] = atoms[i] - (1 / count) * sum;
  }
}

void write_array(const std::filesystem::path& file, const std::string& dtype,
                 const std::vector<float>& values, std::int64_t frames, std::int64_t residues) {
  const std::vector<std::int64_t> shape = {frames, residues, 14, 3};
  if (dtype == "<f4") {
    format::write_npy(file, dtype, shape, std::as_bytes(std::span(values)));
    return;
  }
  std::vector<std::uint16_t> halves;
  for (const float value : values) halves.push_back(format::float_to_half(value));
  format::write_npy(file, dtype, shape, std::as_bytes(std::span(halves)));
}

std::string sequence_of(std::size_t protein, int residues) {
  std::string sequence;
  for (int i = 0; i < residues; ++i)
    sequence += protein::kResidueLetters[(7 * static_cast<std::size_t>(i) + 3 * protein) % 20];
  return sequence;
}

}  // namespace

double synthetic_torsion(std::uint64_t seed, int residue, int torsion, int frame) {
  constexpr std::array<double, 7> kCentre = {180, -63, -43, -65, 175, 65, 175};
  constexpr std::array<double, 7> kAmplitude = {3, 8, 8, 25, 25, 25, 25};
  const PhiloxCounter words = philox4x32(
      {static_cast<std::uint32_t>(residue), static_cast<std::uint32_t>(torsion), 0, 0}, philox_key(seed));
  const double slow = std::sin(2 * std::numbers::pi * (frame / 61.0 + uniform_float(words[0])));
  const double fast = std::sin(2 * std::numbers::pi * (frame / 17.0 + uniform_float(words[1])));
  const auto i = static_cast<std::size_t>(torsion);
  return (kCentre[i] + kAmplitude[i] * (slow + 0.3 * fast)) * kDegree;
}

std::vector<float> synthetic_peptide(const std::string& sequence, int frames, std::uint64_t seed) {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(frames) * sequence.size() * 14 * 3);
  for (int t = 0; t < frames; ++t) {
    std::vector<Vector> atoms(sequence.size() * 14, Vector{});
    Frame frame{{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}, {}};
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      const int residue = static_cast<int>(i);
      const int type = protein::residue_type(sequence[i]);
      if (i > 0)
        frame = next_backbone(frame, protein::residue_type(sequence[i - 1]), type,
                              synthetic_torsion(seed, residue - 1, 2, t),
                              synthetic_torsion(seed, residue, 0, t), synthetic_torsion(seed, residue, 1, t));
      std::array<double, 7> torsions;
      for (int k = 0; k < 7; ++k)
        torsions[static_cast<std::size_t>(k)] = synthetic_torsion(seed, residue, k, t);
      write_residue(frame, type, torsions, std::span(atoms).subspan(i * 14, 14));
    }
    centre(atoms, sequence);
    for (const Vector& atom : atoms) {
      for (const double x : atom) values.push_back(static_cast<float>(x));
    }
  }
  return values;
}

SyntheticDataset make_synthetic_dataset(const std::filesystem::path& folder,
                                        const SyntheticOptions& options) {
  SyntheticDataset made{folder / "train.csv", folder / "val.csv", folder / "data", {}, {}};
  std::filesystem::create_directories(made.data_dir);
  std::ofstream train(made.train_split);
  std::ofstream val(made.val_split);
  train << "name,seqres\n";
  val << "name,seqres\n";
  for (std::size_t p = 0; p < options.lengths.size(); ++p) {
    const std::string name = "synth" + std::to_string(p);
    const std::string sequence = sequence_of(p, options.lengths[p]);
    train << name << ',' << sequence << '\n';
    if (p == 0) val << name << ',' << sequence << '\n';
    for (int r = options.replicas > 0 ? 1 : 0; r <= options.replicas; ++r) {
      const std::string file = name + (r > 0 ? "_R" + std::to_string(r) : "") + options.suffix + ".npy";
      const std::uint64_t seed = (options.seed * 1000 + p) * 10 + static_cast<std::uint64_t>(r);
      write_array(made.data_dir / file, options.dtype, synthetic_peptide(sequence, options.frames, seed),
                  options.frames, options.lengths[p]);
    }
    made.names.push_back(name);
    made.sequences.push_back(sequence);
  }
  return made;
}

}  // namespace mdgen::testing
