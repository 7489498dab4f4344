#include "core/sample/program/array_file.h"

#include "core/base/error.h"
#include "core/data/window_reader.h"
#include "core/format/npy.h"

namespace mdgen::sample {

ArrayFile::ArrayFile(const std::filesystem::path& file, std::int32_t residues)
    : file_(file), residues_(residues) {
  if (!std::filesystem::is_regular_file(file))
    throw Error(ErrorCode::kNotFound, file.string() + ": no such file");
  const format::NpyHeader header = format::read_npy_header(file);
  const std::vector<std::int64_t>& shape = header.shape;
  if (shape.size() != 4 || shape[2] != 14 || shape[3] != 3 || shape[0] < 1 || header.fortran_order ||
      (header.dtype != "<f2" && header.dtype != "<f4"))
    throw Error(ErrorCode::kInvalidArgument,
                file.string() + ": float16 or float32 [frames, residues, 14, 3] in C order is expected");
  if (shape[1] != residues)
    throw Error(ErrorCode::kInvalidArgument, file.string() + ": " + std::to_string(shape[1]) +
                                                 " residues, the split's sequence has " +
                                                 std::to_string(residues));
  replica_.set_file(file.string());
  replica_.set_frames(shape[0]);
  replica_.set_dtype(header.dtype);
  replica_.set_bytes(static_cast<std::int64_t>(std::filesystem::file_size(file)));
}

std::vector<float> ArrayFile::read(std::int64_t first, std::int64_t count, std::int64_t stride) const {
  return data::read_block(file_.string(), replica_, residues_,
                          {.first_frame = first,
                           .frames = count,
                           .first_residue = 0,
                           .residues = residues_,
                           .frame_stride = stride});
}

}  // namespace mdgen::sample
