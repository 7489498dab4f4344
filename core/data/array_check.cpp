#include "core/data/array_check.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <vector>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/data/draws.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kWhole = 64 << 10;  // files of this size are probed in full
constexpr std::int64_t kPiece = 4 << 10;
constexpr std::int64_t kPieces = 4;

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> parts;
  for (const std::int64_t dimension : shape) parts.push_back(std::to_string(dimension));
  return "[" + join(parts, ", ") + "]";
}

[[noreturn]] void changed(const format::NpyFile& file, const std::string& how) {
  throw Error(ErrorCode::kDataLoss, file.name() + ": " + how);
}

void note_other_time(const std::string& file) {
  static std::mutex mutex;
  static std::set<std::string> noted;
  const std::lock_guard lock(mutex);
  if (noted.insert(file).second)
    spdlog::warn(
        "{}: its time of modification is not what it was when the manifest was made; size and probed content "
        "are, so it is read on",
        file);
}

}  // namespace

std::string header_problem(const format::NpyHeader& header, const std::string& entry, std::int64_t residues,
                           const v1::DataSpec& data) {
  if (header.dtype == ">f2" || header.dtype == ">f4")
    return "big-endian data (dtype '" + header.dtype + "'), expected '<f2' or '<f4'";
  if (header.dtype != "<f2" && header.dtype != "<f4")
    return "dtype '" + header.dtype + "', expected '<f2' or '<f4'";
  if (header.fortran_order) return "the array is in Fortran order, expected C order";
  const auto& shape = header.shape;
  if (shape.size() != 4 || shape[2] != 14 || shape[3] != 3)
    return "shape " + shape_text(shape) + ", expected [frames, residues, 14, 3]";
  if (shape[1] != residues)
    return std::to_string(shape[1]) + " residues, the sequence of " + entry + " has " +
           std::to_string(residues);
  const std::int32_t interval = data.has_frame_interval() ? data.frame_interval() : 1;
  const std::int64_t frames = frames_at_interval(shape[0], interval);
  if (frames >= data.num_frames()) return "";
  const std::string kept = interval == 1 ? ""
                                         : ", " + std::to_string(frames) + " of them at frame_interval " +
                                               std::to_string(interval);
  return std::to_string(shape[0]) + " frames" + kept + ", num_frames needs at least " +
         std::to_string(data.num_frames());
}

void describe_array(const format::NpyFile& file, v1::Replica& replica) {
  replica.set_frames(file.header().shape[0]);
  replica.set_dtype(file.header().dtype);
  replica.set_bytes(file.bytes());
  replica.set_mtime_ns(file.mtime_ns());
  replica.set_probe(content_probe(file));
}

std::uint64_t content_probe(const format::NpyFile& file) {
  Sha256 digest;
  const auto add = [&](std::int64_t offset, std::int64_t bytes) {
    std::vector<std::byte> piece(static_cast<std::size_t>(bytes));
    file.read(piece, offset);
    digest.update(piece.data(), piece.size());
  };
  if (file.bytes() <= kWhole) {
    add(0, file.bytes());
  } else {
    const auto first = static_cast<std::int64_t>(file.header().data_offset);
    const std::int64_t last = file.bytes() - kPiece;
    for (std::int64_t i = 0; i < kPieces; ++i) add(first + (last - first) * i / (kPieces - 1), kPiece);
  }
  return std::max<std::uint64_t>(1, std::stoull(digest.hex().substr(0, 16), nullptr, 16));
}

bool same_mtime(std::int64_t one_ns, std::int64_t other_ns) {
  if (one_ns == other_ns) return true;
  return one_ns / kSecond == other_ns / kSecond && (one_ns % kSecond == 0 || other_ns % kSecond == 0);
}

void check_unchanged(const format::NpyFile& file, const v1::Replica& replica, std::int64_t residues) {
  if (file.bytes() != replica.bytes())
    changed(file, "has " + std::to_string(file.bytes()) + " bytes, " + std::to_string(replica.bytes()) +
                      " when the manifest was made");
  const format::NpyHeader& header = file.header();
  const std::vector<std::int64_t> shape = {replica.frames(), residues, 14, 3};
  if (header.shape != shape || header.dtype != replica.dtype() || header.fortran_order)
    changed(file, "shape or dtype is not what it was when the manifest was made");
  if (replica.mtime_ns() == 0 || replica.probe() == 0 || same_mtime(file.mtime_ns(), replica.mtime_ns()))
    return;
  if (content_probe(file) != replica.probe())
    changed(file,
            "was modified after the manifest was made: its time of modification and its content differ, its "
            "size is the same; submit again to use the new content");
  note_other_time(file.name());
}

}  // namespace mdgen::data
