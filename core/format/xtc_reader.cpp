#include "core/format/xtc_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "core/base/error.h"
#include "core/format/xtc_block.h"

namespace mdgen::format {
namespace {

constexpr std::uint32_t kMagic = 1995;
constexpr std::uint32_t kMagicLong = 2023;  // 64-bit lengths
constexpr std::size_t kUncompressed = 9;    // up to so many atoms
constexpr std::size_t kAtomsAt = 4;
constexpr std::size_t kBoxAt = 16;
constexpr std::size_t kAtomsAgainAt = 52;
constexpr std::size_t kFloatsAt = 56;  // of an uncompressed frame
constexpr std::size_t kPrecisionAt = 56;
constexpr std::size_t kLeastAt = 60;
constexpr std::size_t kGreatestAt = 72;
constexpr std::size_t kSmallIndexAt = 84;
constexpr std::size_t kLengthAt = 88;
constexpr std::size_t kLongestHeader = 96;

constexpr double kAngstrom = 10;  // a nanometre

std::uint32_t word(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap32(value);
  return value;
}

float number(std::span<const std::byte> bytes, std::size_t at) {
  return std::bit_cast<float>(word(bytes, at));
}

[[noreturn]] void fail(const InputFile& file, std::size_t frame, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss,
              file.path().string() + ": frame " + std::to_string(frame) + ": " + reason);
}

[[noreturn]] void cut_short(const InputFile& file, std::size_t frame) {
  throw Error(ErrorCode::kDataLoss,
              file.path().string() + ": truncated: frame " + std::to_string(frame) + " is incomplete");
}

struct Layout {
  std::size_t atoms = 0;
  std::size_t data = 0;    // where the coordinates begin, from the frame's start
  std::size_t length = 0;  // of the coordinates, without padding
  std::size_t size() const { return data + (length + 3) / 4 * 4; }
};

Layout read_layout(const InputFile& file, std::size_t frame, std::span<const std::byte> header) {
  if (header.size() < kFloatsAt) cut_short(file, frame);
  const std::uint32_t magic = word(header, 0);
  if (magic != kMagic && magic != kMagicLong)
    fail(file, frame,
         "it does not begin as an XTC frame does (" + std::to_string(magic) + ", expected 1995)");
  Layout layout{word(header, kAtomsAt), kFloatsAt, 0};
  if (word(header, kAtomsAgainAt) != layout.atoms)
    fail(file, frame,
         "two numbers of atoms: " + std::to_string(layout.atoms) + " and " +
             std::to_string(word(header, kAtomsAgainAt)));
  if (layout.atoms <= kUncompressed) {
    layout.length = layout.atoms * 3 * sizeof(float);
    return layout;
  }
  layout.data = kLengthAt + (magic == kMagicLong ? 8 : 4);
  if (header.size() < layout.data) cut_short(file, frame);
  layout.length = word(header, kLengthAt);
  if (magic == kMagicLong) layout.length = layout.length << 32 | word(header, kLengthAt + 4);
  if (layout.length > file.size()) cut_short(file, frame);
  if (layout.length < layout.atoms / 8)
    fail(file, frame,
         std::to_string(layout.length) + " bytes are too few for " + std::to_string(layout.atoms) + " atoms");
  return layout;
}

std::optional<UnitCell> read_cell(std::span<const std::byte> frame) {
  UnitCell cell{};
  bool empty = true;
  for (std::size_t i = 0; i < 9; ++i) {
    cell[i / 3][i % 3] = static_cast<double>(number(frame, kBoxAt + 4 * i)) * kAngstrom;
    empty = empty && cell[i / 3][i % 3] == 0;
  }
  return empty ? std::nullopt : std::optional(cell);
}

void read_floats(std::span<const std::byte> frame, std::span<std::array<double, 3>> positions) {
  for (std::size_t i = 0; i < positions.size(); ++i)
    for (std::size_t axis = 0; axis < 3; ++axis)
      positions[i][axis] = static_cast<double>(number(frame, kFloatsAt + 12 * i + 4 * axis)) * kAngstrom;
}

XtcBlock read_block(std::span<const std::byte> frame, const Layout& layout) {
  XtcBlock block;
  block.precision = number(frame, kPrecisionAt);
  for (std::size_t i = 0; i < 3; ++i) {
    block.least[i] = static_cast<std::int32_t>(word(frame, kLeastAt + 4 * i));
    block.greatest[i] = static_cast<std::int32_t>(word(frame, kGreatestAt + 4 * i));
  }
  block.small_index = static_cast<std::int32_t>(word(frame, kSmallIndexAt));
  block.padded_bits = frame.subspan(layout.data, layout.length + kXtcPadding);
  return block;
}

}  // namespace

std::vector<std::uint64_t> xtc_frame_starts(const InputFile& file) {
  std::vector<std::uint64_t> starts;
  std::array<std::byte, kLongestHeader> header{};
  std::size_t atoms = 0;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t frame = starts.size();
    const Layout layout = read_layout(file, frame, std::span(header).first(file.read(at, header)));
    if (layout.size() > file.size() - at) cut_short(file, frame);
    if (frame == 0) atoms = layout.atoms;
    if (layout.atoms != atoms)
      fail(file, frame, std::to_string(layout.atoms) + " atoms, frame 0 has " + std::to_string(atoms));
    starts.push_back(at);
    at += layout.size();
  }
  return starts;
}

XtcReader::XtcReader(const std::filesystem::path& file) : file_(file), starts_(xtc_frame_starts(file_)) {}

std::span<const std::array<double, 3>> XtcReader::positions(std::size_t frame) {
  const std::uint64_t begin = starts_.at(frame);
  const std::uint64_t end = frame + 1 < starts_.size() ? starts_[frame + 1] : file_.size();
  const std::size_t size = end - begin;
  bytes_.resize(size + kXtcPadding);
  std::fill(bytes_.end() - kXtcPadding, bytes_.end(), std::byte{0});
  const std::span<std::byte> bytes = std::span(bytes_).first(size);
  if (file_.read(begin, bytes) < size) cut_short(file_, frame);
  const Layout layout = read_layout(file_, frame, bytes);
  if (layout.size() != size) fail(file_, frame, "the file has changed since it was opened");
  cell_ = read_cell(bytes);
  positions_.resize(layout.atoms);
  if (layout.atoms <= kUncompressed)
    read_floats(bytes, positions_);
  else if (!decode_xtc_block(read_block(bytes_, layout), positions_))
    fail(file_, frame, "its compressed coordinates are damaged");
  return positions_;
}

}  // namespace mdgen::format
