#include <array>
#include <cctype>
#include <cstring>
#include <fstream>
#include <optional>

#include "core/base/error.h"
#include "core/format/npy.h"

namespace mdgen::format {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 1 << 20;

[[noreturn]] void reject(const std::filesystem::path& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file.string() + ": " + reason);
}

// The header is a Python literal: {'descr': '<f2', 'fortran_order': False, 'shape': (3, 4), }.
class DictReader {
 public:
  DictReader(const std::filesystem::path& file, std::string_view text) : file_(file), text_(text) {}

  NpyHeader read() {
    NpyHeader header;
    std::optional<std::string> seen[3];
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      const int index = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (index < 0) reject(file_, "unknown key '" + key + "' in the .npy header");
      if (seen[index]) reject(file_, "key '" + key + "' appears twice in the .npy header");
      seen[index] = key;
      if (index == 0) header.dtype = dtype();
      if (index == 1) header.fortran_order = boolean();
      if (index == 2) header.shape = tuple();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!seen[0] || !seen[1] || !seen[2])
      reject(file_, "the .npy header lacks descr, fortran_order or shape");
    skip_space();
    if (at_ != text_.size()) reject(file_, "text after the .npy header's dictionary");
    return header;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted))
      reject(file_, std::string("malformed .npy header: '") + wanted + "' missing at character " +
                        std::to_string(at_));
  }
  std::string quoted() {
    skip_space();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string::npos;
    if (end == std::string::npos)
      reject(file_, "malformed .npy header: text expected at character " + std::to_string(at_));
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  std::string dtype() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') reject(file_, "structured arrays are not supported");
    return quoted();
  }
  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    }
    reject(file_, "malformed .npy header: fortran_order is neither True nor False");
  }
  std::int64_t integer() {
    skip_space();
    std::int64_t value = 0;
    const std::size_t begin = at_;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0; ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        reject(file_, "a dimension in the .npy header is too large");
    }
    if (at_ == begin) reject(file_, "malformed .npy header: a dimension is not a number");
    return value;
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      values.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  const std::filesystem::path& file_;
  std::string_view text_;
  std::size_t at_ = 0;
};

std::size_t item_size(const std::filesystem::path& file, const std::string& dtype) {
  if (dtype.find('O') != std::string::npos)
    reject(file, "object arrays are not supported (dtype '" + dtype + "')");
  constexpr std::array<std::string_view, 13> kKnown = {"b1", "i1", "u1", "i2", "u2", "f2", "i4",
                                                       "u4", "f4", "i8", "u8", "f8", "c8"};
  if (dtype.size() == 3 && std::string_view("<>=|").find(dtype[0]) != std::string_view::npos)
    for (const std::string_view known : kKnown)
      if (known == std::string_view(dtype).substr(1)) return static_cast<std::size_t>(known[1] - '0');
  reject(file, "unknown dtype '" + dtype + "'");
}

std::size_t data_bytes(const std::filesystem::path& file, const NpyHeader& header) {
  std::size_t bytes = header.item_size;
  for (const std::int64_t dimension : header.shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(dimension), &bytes))
      reject(file, "the shape in the .npy header is too large");
  return bytes;
}

}  // namespace

NpyHeader read_npy_header(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || !std::filesystem::is_regular_file(file))
    throw Error(ErrorCode::kNotFound, "cannot open " + file.string());
  const std::size_t size = std::filesystem::file_size(file);
  std::array<unsigned char, 12> start{};
  stream.read(reinterpret_cast<char*>(start.data()), start.size());
  if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0)
    reject(file, "not an .npy file (the first bytes are not \\x93NUMPY)");
  if (!stream) reject(file, "truncated: the .npy header ends early");
  const int version = start[6];
  if (version < 1 || version > 3) reject(file, "unknown .npy version " + std::to_string(version));
  std::size_t length = start[8] | static_cast<std::size_t>(start[9]) << 8;
  if (version > 1)
    length |= static_cast<std::size_t>(start[10]) << 16 | static_cast<std::size_t>(start[11]) << 24;
  if (length > kMaxHeader) reject(file, "the .npy header is too large");
  const std::size_t text_at = version == 1 ? 10 : 12;
  if (text_at + length > size) reject(file, "truncated: the .npy header ends early");
  std::string text(length, '\0');
  stream.seekg(static_cast<std::streamoff>(text_at));
  stream.read(text.data(), static_cast<std::streamsize>(length));
  if (!stream) reject(file, "cannot read the .npy header");

  NpyHeader header = DictReader(file, text).read();
  header.item_size = item_size(file, header.dtype);
  header.data_offset = text_at + length;
  const std::size_t wanted = data_bytes(file, header);
  const std::size_t present = size - header.data_offset;
  if (present != wanted)
    reject(file, std::string(present < wanted ? "truncated" : "longer than its header says") + ": " +
                     std::to_string(present) + " bytes of data, " + std::to_string(wanted) +
                     " expected from the header");
  return header;
}

}  // namespace mdgen::format
