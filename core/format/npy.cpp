#include "core/format/npy.h"

#include <bit>
#include <functional>
#include <numeric>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/format/mapped_file.h"

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

namespace {

std::string header_text(const std::string& dtype, std::span<const std::int64_t> shape) {
  std::string text = "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  constexpr std::size_t kPrefix = 10;
  constexpr std::size_t kAlign = 64;
  text.append((kAlign - (kPrefix + text.size() + 1) % kAlign) % kAlign, ' ');
  return text + '\n';
}

}  // namespace

void write_npy(const std::filesystem::path& file, const std::string& dtype,
               std::span<const std::int64_t> shape, std::span<const std::byte> data) {
  const std::size_t elements =
      std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
  if (dtype.size() != 3 || elements * static_cast<std::size_t>(dtype[2] - '0') != data.size())
    throw Error(ErrorCode::kInternal, file.string() + ": " + std::to_string(data.size()) +
                                          " bytes do not fill the shape with dtype '" + dtype + "'");
  const std::string text = header_text(dtype, shape);
  std::string start = "\x93NUMPY";
  start += '\1';
  start += '\0';
  start += static_cast<char>(text.size() & 0xffU);
  start += static_cast<char>(text.size() >> 8);
  start += text;
  const std::string_view parts[] = {start, {reinterpret_cast<const char*>(data.data()), data.size()}};
  replace_file(file, parts);
}

}  // namespace mdgen::format
