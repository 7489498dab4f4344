#include "core/data/window_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/format/npy.h"

namespace mdgen::data {
namespace {

constexpr std::int64_t kValuesPerResidue = std::int64_t{14} * 3;
constexpr float kLongestBond = 3.0F;  // Å; no bonded pair is farther apart

[[noreturn]] void fail(ErrorCode code, const std::string& file, const std::string& reason) {
  throw Error(code, file + ": " + reason);
}

class OpenFile {
 public:
  explicit OpenFile(const std::string& file)
      : file_(file), descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0)
      fail(ErrorCode::kNotFound, file, std::string("cannot open: ") + std::strerror(errno));
  }
  ~OpenFile() { ::close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  std::int64_t size() const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) fail(ErrorCode::kDataLoss, file_, std::strerror(errno));
    return status.st_size;
  }
  void read(std::byte* target, std::size_t bytes, std::int64_t offset) const {
    while (bytes > 0) {
      const ssize_t got = ::pread(descriptor_, target, bytes, offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(ErrorCode::kDataLoss, file_, std::string("cannot read: ") + std::strerror(errno));
      if (got == 0) fail(ErrorCode::kDataLoss, file_, "the file ends early: it was truncated while in use");
      target += got;
      bytes -= static_cast<std::size_t>(got);
      offset += got;
    }
  }

 private:
  const std::string& file_;
  int descriptor_;
};

void check_against_manifest(const std::string& file, const format::NpyHeader& header,
                            const v1::Replica& replica, std::int32_t residues) {
  const std::vector<std::int64_t> shape = {replica.frames(), residues, 14, 3};
  if (header.shape != shape || header.dtype != replica.dtype() || header.fortran_order)
    fail(ErrorCode::kDataLoss, file, "shape or dtype is not what it was when the manifest was made");
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
        fail(ErrorCode::kDataLoss, file, "a coordinate is not finite " + place(block, frame, residue));
      const float* n = atoms;
      const float* ca = atoms + 3;
      const float* c = atoms + 6;
      if (absent(n, ca) || absent(ca, n) || absent(c, ca))
        fail(ErrorCode::kDataLoss, file, "no N, CA or C (all zeros) " + place(block, frame, residue));
    }
  }
}

}  // namespace

std::vector<float> read_block(const std::string& file, const v1::Replica& replica,
                              std::int32_t residues_in_file, const Block& block) {
  const OpenFile open(file);
  if (const std::int64_t size = open.size(); size != replica.bytes())
    fail(ErrorCode::kDataLoss, file,
         "has " + std::to_string(size) + " bytes, " + std::to_string(replica.bytes()) +
             " when the manifest was made");
  const format::NpyHeader header = format::read_npy_header(file);
  check_against_manifest(file, header, replica, residues_in_file);
  if (block.first_frame < 0 || block.frames < 1 || block.frame_stride < 1 ||
      block.first_frame + (block.frames - 1) * block.frame_stride >= replica.frames() ||
      block.first_residue < 0 || block.residues < 1 ||
      block.first_residue + block.residues > residues_in_file)
    fail(ErrorCode::kInternal, file, "a block outside the array was asked for");

  const std::int64_t item = static_cast<std::int64_t>(header.item_size);
  const std::int64_t row = residues_in_file * kValuesPerResidue * item;
  const std::int64_t piece = block.residues * kValuesPerResidue * item;
  const std::int64_t first = static_cast<std::int64_t>(header.data_offset) + block.first_frame * row +
                             block.first_residue * kValuesPerResidue * item;
  std::vector<std::byte> raw(static_cast<std::size_t>(block.frames * piece));
  if (piece == row && block.frame_stride == 1) {
    open.read(raw.data(), raw.size(), first);
  } else {
    for (std::int64_t frame = 0; frame < block.frames; ++frame)
      open.read(raw.data() + frame * piece, static_cast<std::size_t>(piece),
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
