#include "core/data/window_reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "core/base/error.h"
#include "core/data/array_check.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kValuesPerResidue = std::int64_t{14} * 3;
constexpr float kLongestBond = 3.0F;  // Å; no bonded pair is farther apart

[[noreturn]] void fail(const std::string& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file + ": " + reason);
}

std::string place(const Block& block, std::int64_t frame, std::int64_t residue) {
  return "in frame " + std::to_string(block.first_frame + frame * block.frame_stride) + ", residue " +
         std::to_string(block.first_residue + residue + 1);
}

// An absent atom is all zeros. One that is really at the origin has its bonded neighbour near.
bool absent(const float* atom, const float* neighbour) {
  if (atom[0] != 0 || atom[1] != 0 || atom[2] != 0) return false;
  const float distance = std::hypot(neighbour[0], neighbour[1], neighbour[2]);
  return distance == 0 || distance > kLongestBond;
}

void check_values(const std::string& file, const Block& block, const std::vector<float>& values) {
  const float* atoms = values.data();
  for (std::int64_t frame = 0; frame < block.frames; ++frame) {
    for (std::int64_t residue = 0; residue < block.residues; ++residue, atoms += kValuesPerResidue) {
      if (!std::all_of(atoms, atoms + kValuesPerResidue, [](float x) { return std::isfinite(x); }))
        fail(file, "a coordinate is not finite " + place(block, frame, residue));
      const float* n = atoms;
      const float* ca = atoms + 3;
      const float* c = atoms + 6;
      if (absent(n, ca) || absent(ca, n) || absent(c, ca))
        fail(file, "no N, CA or C (all zeros) " + place(block, frame, residue));
    }
  }
}

}  // namespace

std::vector<float> read_block(const std::string& file, const v1::Replica& replica,
                              std::int32_t residues_in_file, const Block& block) {
  const format::NpyFile open(file);
  check_unchanged(open, replica, residues_in_file);
  const format::NpyHeader& header = open.header();
  if (block.first_frame < 0 || block.frames < 1 || block.frame_stride < 1 ||
      block.first_frame + (block.frames - 1) * block.frame_stride >= replica.frames() ||
      block.first_residue < 0 || block.residues < 1 ||
      block.first_residue + block.residues > residues_in_file)
    throw Error(ErrorCode::kInternal, file + ": a block outside the array was asked for");

  const std::int64_t item = static_cast<std::int64_t>(header.item_size);
  const std::int64_t row = residues_in_file * kValuesPerResidue * item;
  const std::int64_t piece = block.residues * kValuesPerResidue * item;
  const std::int64_t first = static_cast<std::int64_t>(header.data_offset) + block.first_frame * row +
                             block.first_residue * kValuesPerResidue * item;
  std::vector<std::byte> raw(static_cast<std::size_t>(block.frames * piece));
  if (piece == row && block.frame_stride == 1) {
    open.read(raw, first);
  } else {
    for (std::int64_t frame = 0; frame < block.frames; ++frame)
      open.read(
          std::span(raw).subspan(static_cast<std::size_t>(frame * piece), static_cast<std::size_t>(piece)),
          first + frame * block.frame_stride * row);
  }

  std::vector<float> values(raw.size() / header.item_size);
  if (header.item_size == sizeof(float)) {
    std::memcpy(values.data(), raw.data(), raw.size());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, &raw[i * sizeof(half)], sizeof(half));
      values[i] = format::half_to_float(half);
    }
  }
  check_values(file, block, values);
  return values;
}

}  // namespace mdgen::data
