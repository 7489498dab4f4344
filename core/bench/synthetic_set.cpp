#include "core/bench/synthetic_set.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <system_error>
#include <vector>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/format/npy.h"
#include "core/format/npy_writer.h"
#include "core/protein/residue_constants.h"

namespace mdgen::bench {
namespace {

constexpr double kRise = 1.5;    // Å a residue of a helix
constexpr double kRadius = 2.3;  // Å
constexpr double kTurn = 1.745;  // radians a residue
constexpr double kBond = 1.4;    // Å, about the distance of an atom from its neighbour
constexpr double kJitter = 0.2;  // Å

std::string sequence_of(int residues, std::uint32_t entry) {
  std::string sequence;
  for (int i = 0; i < residues; ++i)
    sequence += protein::kResidueLetters[philox4x32({entry, static_cast<std::uint32_t>(i), 0, 0}, {1, 0})[0] %
                                         protein::kResidueTypes];
  return sequence;
}

// (residues, 14, 3) of one frame.
std::vector<float> frame_of(const std::string& sequence, std::uint32_t entry, std::uint32_t frame) {
  std::vector<float> values;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    const auto type = static_cast<std::size_t>(protein::residue_type(sequence[i]));
    const double angle = kTurn * static_cast<double>(i);
    const double centre[] = {kRadius * std::cos(angle), kRadius * std::sin(angle),
                             kRise * static_cast<double>(i)};
    for (std::uint32_t atom = 0; atom < protein::kAtom14; ++atom) {
      const bool there = protein::atom14_mask()[type][atom] != 0;
      const PhiloxCounter words = philox4x32({entry, static_cast<std::uint32_t>(i), atom, frame}, {2, 0});
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const double along = kBond * std::cos(1.9 * (atom + 1.0) * (static_cast<double>(axis) + 1));
        const double moved = centre[axis] + along + kJitter * uniform_float(words[axis]);
        values.push_back(there ? static_cast<float>(moved) : 0.0F);
      }
    }
  }
  return values;
}

void append(format::NpyWriter& writer, const std::vector<float>& values, bool half) {
  if (!half) return writer.append(std::as_bytes(std::span(values)));
  std::vector<std::uint16_t> halves;
  halves.reserve(values.size());
  for (const float value : values) halves.push_back(format::float_to_half(value));
  writer.append(std::as_bytes(std::span(halves)));
}

}  // namespace

void write_synthetic_set(const std::filesystem::path& folder, const SyntheticSet& set) {
  std::ofstream split(folder / "split.csv");
  split << "name,seqres\n";
  const bool half = set.dtype == "float16";
  for (int entry = 0; entry < set.entries; ++entry) {
    const std::string name = "made" + std::to_string(entry);
    const std::string sequence = sequence_of(set.residues, static_cast<std::uint32_t>(entry));
    split << name << ',' << sequence << '\n';
    const std::vector<std::int64_t> shape = {set.frames, set.residues, protein::kAtom14, 3};
    format::NpyWriter writer(folder / (name + "_R1.npy"), half ? "<f2" : "<f4", shape);
    for (std::int64_t frame = 0; frame < set.frames; ++frame)
      append(writer, frame_of(sequence, static_cast<std::uint32_t>(entry), static_cast<std::uint32_t>(frame)),
             half);
    writer.finish();
    writer.publish();
  }
}

ScratchFolder::ScratchFolder(const std::filesystem::path& parent) {
  std::string pattern = (parent / "mdgen-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    throw Error(ErrorCode::kUnavailable,
                parent.string() + ": cannot make a folder there: " + std::strerror(errno));
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace mdgen::bench
