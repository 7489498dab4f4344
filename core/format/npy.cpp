#include "core/format/npy.h"

#include <bit>

#include "core/base/error.h"
#include "core/format/mapped_file.h"
#include "core/format/npy_writer.h"

namespace mdgen::format {

static_assert(std::endian::native == std::endian::little);

struct NpyArray::Map {
  NpyHeader header;
  MappedFile file;
};

NpyArray::NpyArray(const std::filesystem::path& file)
    : map_(std::make_unique<Map>(read_npy_header(file), MappedFile(file))) {
  const NpyHeader& header = map_->header;
  if (header.dtype[0] == '>')
    throw Error(ErrorCode::kInvalidArgument,
                file.string() + ": big-endian data ('" + header.dtype + "'); little-endian expected");
  if (header.fortran_order && header.shape.size() > 1)
    throw Error(ErrorCode::kInvalidArgument,
                file.string() + ": the array is in Fortran order; C order expected");
  if (map_->file.bytes().size() < header.data_offset)
    throw Error(ErrorCode::kDataLoss, file.string() + ": the file shrank while it was opened");
}

NpyArray::~NpyArray() = default;
NpyArray::NpyArray(NpyArray&&) noexcept = default;
NpyArray& NpyArray::operator=(NpyArray&&) noexcept = default;

const NpyHeader& NpyArray::header() const { return map_->header; }
const std::byte* NpyArray::data() const { return map_->file.bytes().data() + map_->header.data_offset; }

void write_npy(const std::filesystem::path& file, const std::string& dtype,
               std::span<const std::int64_t> shape, std::span<const std::byte> data) {
  NpyWriter writer(file, dtype, shape);
  writer.append(data);
  writer.finish();
  writer.publish();
}

}  // namespace mdgen::format
