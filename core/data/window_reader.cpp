#include "core/data/window_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/data/array_check.h"
#include "core/data/coordinate_check.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kValuesPerResidue = std::int64_t{14} * 3;

[[noreturn]] void fail(const std::string& file, const Block& block, std::int64_t frame, RowFault fault) {
  const char* what =
      fault.fault == CoordinateFault::kNotFinite ? "a coordinate is not finite" : "no N, CA or C (all zeros)";
  throw Error(ErrorCode::kDataLoss, file + ": " + what + " in frame " +
                                        std::to_string(block.first_frame + frame * block.frame_stride) +
                                        ", residue " +
                                        std::to_string(block.first_residue + fault.residue + 1));
}

void require_inside(const std::string& file, const Block& block, std::int64_t frames, std::int32_t residues) {
  if (block.first_frame < 0 || block.frames < 1 || block.frame_stride < 1 ||
      block.first_frame + (block.frames - 1) * block.frame_stride >= frames || block.first_residue < 0 ||
      block.residues < 1 || block.first_residue + block.residues > residues)
    throw Error(ErrorCode::kInternal, file + ": a block outside the array was asked for");
}

// Where a block's rows are in the file.
struct Rows {
  std::int64_t first = 0;  // bytes before the first
  std::int64_t step = 0;   // from one to the next
  std::int64_t bytes = 0;  // of one
  Rows(const Block& block, std::int64_t data_offset, std::int64_t item_size, std::int32_t residues_in_file) {
    const std::int64_t residue = kValuesPerResidue * item_size;
    step = block.frame_stride * residues_in_file * residue;
    bytes = block.residues * residue;
    first = data_offset + (block.first_frame * residues_in_file + block.first_residue) * residue;
  }
};

}  // namespace

void read_stored(const std::string& file, const v1::Replica& replica, std::int32_t residues_in_file,
                 const Block& block, std::byte* target, std::ptrdiff_t frame_bytes) {
  const format::NpyFile open(file);
  check_unchanged(open, replica, residues_in_file);
  require_inside(file, block, replica.frames(), residues_in_file);
  const format::NpyHeader& header = open.header();
  const Rows rows(block, static_cast<std::int64_t>(header.data_offset),
                  static_cast<std::int64_t>(header.item_size), residues_in_file);
  for (std::int64_t frame = 0; frame < block.frames; ++frame) {
    const std::span<std::byte> row(target + frame * frame_bytes, static_cast<std::size_t>(rows.bytes));
    open.read(row, rows.first + frame * rows.step);
    if (const auto fault = row_fault(row, header.item_size)) fail(file, block, frame, *fault);
  }
}

std::vector<float> read_block(const std::string& file, const v1::Replica& replica,
                              std::int32_t residues_in_file, const Block& block) {
  require_inside(file, block, replica.frames(), residues_in_file);
  const auto row = static_cast<std::size_t>(block.residues * kValuesPerResidue);
  std::vector<float> values(static_cast<std::size_t>(block.frames) * row);
  if (replica.dtype() != "<f2") {
    read_stored(file, replica, residues_in_file, block, reinterpret_cast<std::byte*>(values.data()),
                static_cast<std::ptrdiff_t>(row * sizeof(float)));
    return values;
  }
  std::vector<std::byte> halves(values.size() * sizeof(std::uint16_t));
  read_stored(file, replica, residues_in_file, block, halves.data(),
              static_cast<std::ptrdiff_t>(row * sizeof(std::uint16_t)));
  widen(halves.data(), values.size(), values.data());
  return values;
}

void read_ahead(const std::string& file, const v1::Replica& replica, std::int32_t residues_in_file,
                const Block& block) noexcept {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return;
  const std::int64_t item_size = replica.dtype() == "<f2" ? 2 : 4;
  const std::int64_t data_offset =
      replica.bytes() - replica.frames() * residues_in_file * kValuesPerResidue * item_size;
  const Rows rows(block, data_offset, item_size, residues_in_file);
  if (block.frame_stride == 1) {
    ::posix_fadvise(descriptor, rows.first, (block.frames - 1) * rows.step + rows.bytes, POSIX_FADV_WILLNEED);
  } else {
    for (std::int64_t frame = 0; frame < block.frames; ++frame)
      ::posix_fadvise(descriptor, rows.first + frame * rows.step, rows.bytes, POSIX_FADV_WILLNEED);
  }
  ::close(descriptor);
}

void widen(const std::byte* halves, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, halves + i * sizeof(half), sizeof(half));
    out[i] = format::half_to_float(half);
  }
}

}  // namespace mdgen::data
