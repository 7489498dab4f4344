#include "core/prep/convert.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/base/error.h"
#include "core/format/npy.h"
#include "core/prep/whole_molecule.h"
#include "core/protein/residue_constants.h"
#include "core/protein/superposition.h"

namespace mdgen::prep {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, std::size_t frame, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file.string() + ": frame " + std::to_string(frame) + ": " + reason);
}

bool is_finite(const Point& point) {
  return std::isfinite(point[0]) && std::isfinite(point[1]) && std::isfinite(point[2]);
}

// The heavy atoms of one frame after another, on frame 0.
class AlignedFrames {
 public:
  AlignedFrames(const Selection& selection, const std::filesystem::path& file, BrokenImages broken)
      : selection_(selection),
        file_(file),
        reader_(file),
        whole_(selection, broken),
        heavy_(selection.atoms.size()) {}

  std::size_t frames() const { return reader_.frames(); }

  void read(std::size_t frame) {
    const auto positions = reader_.positions(frame);
    if (positions.size() != selection_.topology_atoms)
      refuse(file_, frame,
             std::to_string(positions.size()) + " atoms, the topology has " +
                 std::to_string(selection_.topology_atoms));
    for (std::size_t i = 0; i < heavy_.size(); ++i) {
      heavy_[i] = positions[selection_.atoms[i].index];
      if (!is_finite(heavy_[i]))
        refuse(file_, frame, "residue " + residue(i) + ": a coordinate is not a finite number");
    }
    try {
      if (whole_.mend(heavy_, [&] { return reader_.cell(); })) ++mended_;
    } catch (const Error& error) {
      refuse(file_, frame, error.what());
    }
    if (!onto_first_)
      onto_first_.emplace(heavy_);
    else
      onto_first_->apply(heavy_);
  }

  const std::vector<Point>& heavy() const { return heavy_; }
  const std::string& residue(std::size_t atom) const {
    return selection_.residues[selection_.atoms[atom].residue];
  }
  std::size_t mended() const { return mended_; }
  // Frame 0's.
  const Point& centroid() const { return onto_first_->reference_centroid(); }

 private:
  const Selection& selection_;
  const std::filesystem::path& file_;
  format::TrajectoryReader reader_;
  WholeMolecule whole_;
  std::size_t mended_ = 0;
  std::vector<Point> heavy_;
  std::optional<protein::Superposition> onto_first_;
};

// One frame of the array in the file's number type.
template <typename Number, typename Round>
std::vector<Number> to_atom14(const AlignedFrames& frames, const Selection& selection, const Point& origin,
                              Round round, std::size_t& bad_atom) {
  std::vector<Number> row(selection.sequence.size() * protein::kAtom14 * 3);
  for (std::size_t i = 0; i < selection.atoms.size(); ++i) {
    if (!selection.atoms[i].slot) continue;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto value = static_cast<float>(frames.heavy()[i][axis] - origin[axis]);
      if (!round(value, row[*selection.atoms[i].slot * 3 + axis])) bad_atom = i;
    }
  }
  return row;
}

bool round_to_half(float value, std::uint16_t& half) {
  half = format::float_to_half(value);
  constexpr std::uint16_t kExponent = 0x7c00;  // all ones in infinity
  return (half & kExponent) != kExponent;
}

bool keep_float(float value, float& kept) {
  kept = value;
  return std::isfinite(value);
}

template <typename Number, typename Round>
void write_frames(AlignedFrames& frames, const Selection& selection, const std::filesystem::path& file,
                  const ConvertOptions& options, const OnFrame& on_frame, Round round,
                  format::NpyWriter& writer) {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  for (std::size_t frame = 0; frame < frames.frames(); frame += options.stride) {
    frames.read(frame);
    const Point origin = options.center ? frames.centroid() : Point{};
    std::size_t bad_atom = kNone;
    const std::vector<Number> row = to_atom14<Number>(frames, selection, origin, round, bad_atom);
    if (bad_atom != kNone)
      refuse(file, frame,
             "residue " + frames.residue(bad_atom) + ": a coordinate is beyond what " +
                 (options.half ? "float16" : "float32") + " holds");
    writer.append(std::as_bytes(std::span(row)));
    if (on_frame) on_frame(std::min(frame + options.stride, frames.frames()), frames.frames());
  }
}

}  // namespace

Converted convert(const Selection& selection, const std::filesystem::path& trajectory,
                  const std::filesystem::path& output, const ConvertOptions& options,
                  const OnFrame& on_frame) {
  AlignedFrames frames(selection, trajectory, options.unwrap ? BrokenImages::kMend : BrokenImages::kRefuse);
  const std::size_t kept = (frames.frames() + options.stride - 1) / options.stride;
  const std::array<std::int64_t, 4> shape = {static_cast<std::int64_t>(kept),
                                             static_cast<std::int64_t>(selection.sequence.size()),
                                             protein::kAtom14, 3};
  format::NpyWriter writer(output, options.half ? "<f2" : "<f4", shape);
  if (options.half)
    write_frames<std::uint16_t>(frames, selection, trajectory, options, on_frame, round_to_half, writer);
  else
    write_frames<float>(frames, selection, trajectory, options, on_frame, keep_float, writer);
  writer.finish();
  return {std::move(writer), frames.frames(), kept, frames.mended()};
}

}  // namespace mdgen::prep
