#include "core/format/whole_frames.h"

#include <spdlog/spdlog.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/format/input_file.h"
#include "core/format/xtc_reader.h"

namespace mdgen::format {
namespace {

// Integers at a position of the file; nothing where it ends before.
class Walker {
 public:
  Walker(const InputFile& file, std::endian order) : file_(file), order_(order) {}

  const InputFile& file() const { return file_; }
  std::size_t size() const { return file_.size(); }
  std::optional<std::uint32_t> word(std::size_t at) {
    if (at > size() || size() - at < sizeof(std::uint32_t)) return std::nullopt;
    if (at < begin_ || at + sizeof(std::uint32_t) > begin_ + held_) {
      begin_ = at;
      held_ = file_.read(at, window_);
      if (held_ < sizeof(std::uint32_t)) return std::nullopt;
    }
    std::uint32_t value = 0;
    std::memcpy(&value, window_.data() + (at - begin_), sizeof(value));
    return order_ == std::endian::native ? value : __builtin_bswap32(value);
  }

 private:
  static constexpr std::size_t kWindow = 256;  // holds a TRR header

  const InputFile& file_;
  std::endian order_;
  std::array<std::byte, kWindow> window_{};
  std::size_t begin_ = 0;
  std::size_t held_ = 0;
};

std::size_t padded(std::size_t bytes) { return (bytes + 3) / 4 * 4; }

// Where the frame that begins at `at` ends; nothing when its lengths cannot be read whole. GROMACS's xdrfile
// library defines the format (xdrfile_trr.c).
std::optional<std::size_t> trr_frame_end(Walker& file, std::size_t at) {
  constexpr std::size_t kSizes = 10;  // lengths of the parts, those of positions and box among them
  constexpr std::size_t kBox = 2;
  constexpr std::size_t kPositions = 7;
  const auto name_length = file.word(at + 8);
  if (!name_length) return std::nullopt;
  const std::size_t sizes = at + 12 + padded(*name_length);
  std::size_t data = 0;
  for (std::size_t i = 0; i < kSizes; ++i) {
    const auto size = file.word(sizes + 4 * i);
    if (!size) return std::nullopt;
    data += *size;
  }
  const auto atoms = file.word(sizes + 4 * kSizes);
  if (!atoms) return std::nullopt;
  const std::uint32_t box = *file.word(sizes + 4 * kBox);
  const std::uint32_t positions = *file.word(sizes + 4 * kPositions);
  const bool is_double =
      box > 0 ? box == 9 * sizeof(double) : positions == std::size_t{*atoms} * 3 * sizeof(double);
  constexpr std::size_t kCounters = 12;  // atoms, step, nre
  return sizes + 4 * kSizes + kCounters + 2 * (is_double ? sizeof(double) : sizeof(float)) + data;
}

[[noreturn]] void cut_short(const std::filesystem::path& file, std::size_t frame) {
  throw Error(ErrorCode::kDataLoss,
              file.string() + ": truncated: frame " + std::to_string(frame) + " is incomplete");
}

std::size_t trr_frames(const InputFile& file) {
  Walker walker(file, std::endian::big);
  std::size_t frame = 0;
  for (std::size_t at = 0; at < walker.size(); ++frame) {
    const std::optional<std::size_t> end = trr_frame_end(walker, at);
    if (!end || *end > walker.size()) cut_short(file.path(), frame);
    at = *end;
  }
  return frame;
}

// Fortran records: length, data, length. A header of three, then for each frame [cell], x, y, z[, w].
std::optional<std::size_t> dcd_frames(const InputFile& input) {
  const std::filesystem::path& file = input.path();
  constexpr std::uint32_t kControl = 84;  // the first record's length
  const std::endian order =
      Walker(input, std::endian::little).word(0) == kControl ? std::endian::little : std::endian::big;
  Walker walker(input, order);
  const auto control = [&](std::size_t i) { return walker.word(8 + 4 * i); };
  if (walker.word(0) != kControl || !control(19))
    return std::nullopt;  // 64-bit record lengths: left to chemfiles
  const bool charmm = *control(19) != 0;
  const std::size_t records =
      3 + (charmm && *control(10) != 0 ? 1 : 0) + (charmm && *control(11) != 0 ? 1 : 0);
  const std::size_t header = *control(8) > 0 ? 4 : 3;  // fixed atoms add the list of the free ones

  std::size_t at = 0;
  std::size_t seen = 0;
  for (; at < walker.size(); ++seen) {
    const std::size_t frame = seen < header ? 0 : (seen - header) / records;
    const auto length = walker.word(at);
    if (!length || walker.word(at + 4 + *length) != length) cut_short(file, frame);
    at += 8 + std::size_t{*length};
  }
  if (seen < header) cut_short(file, 0);
  if ((seen - header) % records != 0) cut_short(file, (seen - header) / records);
  const std::size_t frames = (seen - header) / records;
  if (frames != *control(0))
    spdlog::warn("{}: the header counts {} frames, the file holds {}", file.string(), *control(0), frames);
  return frames;
}

// Nothing when atoms follow the last ENDMDL, or there is none: then the library counts right.
std::optional<std::size_t> pdb_frames(const std::filesystem::path& file) {
  std::ifstream text(file);
  std::size_t models = 0;
  bool any_atoms = false;
  bool atoms_since = false;
  for (std::string line; std::getline(text, line);) {
    const std::string_view record = std::string_view(line).substr(0, 6);
    if (record == "ATOM  " || record == "HETATM") any_atoms = atoms_since = true;
    if (record != "ENDMDL") continue;
    ++models;
    atoms_since = false;
  }
  if (!any_atoms) throw Error(ErrorCode::kDataLoss, file.string() + ": there are no atoms");
  return models == 0 || atoms_since ? std::nullopt : std::optional(models);
}

}  // namespace

std::optional<std::size_t> count_whole_frames(const std::filesystem::path& file) {
  return count_whole_frames(file, file.extension());
}

std::optional<std::size_t> count_whole_frames(const std::filesystem::path& file,
                                              const std::string& extension) {
  const bool is_pdb = extension == ".pdb" || extension == ".ent";
  if (!is_pdb && extension != ".xtc" && extension != ".trr" && extension != ".dcd") return std::nullopt;
  const InputFile input(file);
  if (is_pdb) return pdb_frames(file);
  if (extension == ".dcd") return dcd_frames(input);
  return extension == ".xtc" ? xtc_frame_starts(input).size() : trr_frames(input);
}

}  // namespace mdgen::format
