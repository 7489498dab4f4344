#include "core/prep/convert.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

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

// `numbers` from `values`; false when a value is beyond what the number type holds.
bool narrow(std::span<const float> values, std::span<std::uint16_t> numbers) {
  format::floats_to_halves(values, numbers);
  constexpr std::uint16_t kExponent = 0x7c00;  // all ones in infinity
  return std::none_of(numbers.begin(), numbers.end(),
                      [](std::uint16_t half) { return (half & kExponent) == kExponent; });
}
bool narrow(std::span<const float> values, std::span<float> numbers) {
  std::copy(values.begin(), values.end(), numbers.begin());
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

// Frames of the array in the file's number type, written some at a time.
template <typename Number>
class Rows {
 public:
  Rows(const Selection& selection, format::NpyWriter& writer)
      : writer_(writer), row_size_(selection.sequence.size() * protein::kAtom14 * 3) {
    for (std::size_t i = 0; i < selection.atoms.size(); ++i)
      if (selection.atoms[i].slot) places_.push_back({i, *selection.atoms[i].slot * 3});
    floats_.resize(places_.size() * 3);
    numbers_.resize(places_.size() * 3);
    constexpr std::size_t kBytes = 1 << 20;
    values_.resize(row_size_ * std::max<std::size_t>(1, kBytes / (row_size_ * sizeof(Number))));
  }

  // An atom with a coordinate that the number type cannot hold, if there is one.
  std::optional<std::size_t> add(std::span<const Point> atoms, const Point& origin) {
    for (std::size_t i = 0; i < places_.size(); ++i)
      for (std::size_t axis = 0; axis < 3; ++axis)
        floats_[3 * i + axis] = static_cast<float>(atoms[places_[i].atom][axis] - origin[axis]);
    if (!narrow(floats_, numbers_)) return too_large();
    Number* row = values_.data() + used_;  // absent atoms stay zero from frame to frame
    for (std::size_t i = 0; i < places_.size(); ++i) std::copy_n(&numbers_[3 * i], 3, row + places_[i].at);
    used_ += row_size_;
    if (used_ == values_.size()) flush();
    return std::nullopt;
  }
  void flush() {
    writer_.append(std::as_bytes(std::span(values_).first(used_)));
    used_ = 0;
  }

 private:
  struct Place {
    std::size_t atom = 0;  // of the selection
    std::size_t at = 0;    // first value in a row
  };

  std::size_t too_large() {
    for (std::size_t i = 0; i < places_.size(); ++i)
      if (!narrow(std::span(floats_).subspan(3 * i, 3), std::span(numbers_).first(3))) return places_[i].atom;
    return 0;
  }

  format::NpyWriter& writer_;
  std::size_t row_size_;
  std::vector<Place> places_;
  std::vector<float> floats_;    // of one frame, without absent atoms
  std::vector<Number> numbers_;  // the same
  std::vector<Number> values_;   // rows
  std::size_t used_ = 0;
};

template <typename Number>
void write_frames(AlignedFrames& frames, const Selection& selection, const std::filesystem::path& file,
                  const ConvertOptions& options, const OnFrame& on_frame, format::NpyWriter& writer) {
  Rows<Number> rows(selection, writer);
  for (std::size_t frame = 0; frame < frames.frames(); frame += options.stride) {
    frames.read(frame);
    if (const auto bad = rows.add(frames.heavy(), options.center ? frames.centroid() : Point{}))
      refuse(file, frame,
             "residue " + frames.residue(*bad) + ": a coordinate is beyond what " +
                 (options.half ? "float16" : "float32") + " holds");
    if (on_frame) on_frame(std::min(frame + options.stride, frames.frames()), frames.frames());
  }
  rows.flush();
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
    write_frames<std::uint16_t>(frames, selection, trajectory, options, on_frame, writer);
  else
    write_frames<float>(frames, selection, trajectory, options, on_frame, writer);
  writer.finish();
  return {std::move(writer), frames.frames(), kept, frames.mended()};
}

}  // namespace mdgen::prep
