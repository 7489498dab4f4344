#include "core/format/npy_writer.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <numeric>
#include <string_view>

#include "core/base/error.h"

namespace mdgen::format {
namespace {

std::string preamble(const std::string& dtype, std::span<const std::int64_t> shape) {
  std::string text = "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  constexpr std::size_t kPrefix = 10;
  constexpr std::size_t kAlign = 64;
  text.append((kAlign - (kPrefix + text.size() + 1) % kAlign) % kAlign, ' ');
  text += '\n';
  std::string start = "\x93NUMPY";
  start += {'\1', '\0', static_cast<char>(text.size() & 0xffU), static_cast<char>(text.size() >> 8)};
  return start + text;
}

}  // namespace

NpyWriter::NpyWriter(const std::filesystem::path& file, const std::string& dtype,
                     std::span<const std::int64_t> shape) {
  if (dtype.size() != 3 || dtype[2] < '1' || dtype[2] > '8')
    throw Error(ErrorCode::kInternal, file.string() + ": dtype '" + dtype + "' cannot be written");
  missing_ = std::accumulate(shape.begin(), shape.end(), static_cast<std::size_t>(dtype[2] - '0'),
                             std::multiplies<>());
  partial_ = std::make_unique<PartialFile>(file);
  write(preamble(dtype, shape));
}

NpyWriter::NpyWriter(NpyWriter&& other) noexcept = default;
NpyWriter::~NpyWriter() = default;

void NpyWriter::write(std::string_view bytes) {
  digest_.update(bytes);
  while (!bytes.empty()) {
    const ssize_t written = ::write(partial_->descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      throw Error(ErrorCode::kUnavailable,
                  "cannot write " + partial_->path().string() + ": " + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void NpyWriter::append(std::span<const std::byte> data) {
  if (data.size() > missing_)
    throw Error(ErrorCode::kInternal, file().string() + ": more data than the shape holds");
  write({reinterpret_cast<const char*>(data.data()), data.size()});
  missing_ -= data.size();
}

void NpyWriter::finish() {
  if (missing_ > 0)
    throw Error(ErrorCode::kInternal,
                file().string() + ": " + std::to_string(missing_) + " bytes are missing to fill the shape");
  partial_->sync();
}

void NpyWriter::publish() { partial_->publish(); }

}  // namespace mdgen::format
