#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/format/npy.h"
#include "core/format/npy_file.h"

namespace mdgen::format {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 10000;  // as NumPy
constexpr std::size_t kMaxRank = 64;       // as NumPy
constexpr std::size_t kShown = 40;         // bytes of a file's own text in a message

[[noreturn]] void reject(const std::string& file, const std::string& reason) {
  throw Error(ErrorCode::kDataLoss, file + ": " + reason);
}

std::string shown(std::string_view text) {
  std::string result = to_utf8(text.substr(0, kShown));
  std::replace_if(
      result.begin(), result.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return text.size() > kShown ? result + "…" : result;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The header is a Python literal: {'descr': '<f2', 'fortran_order': False, 'shape': (3, 4), }.
class DictReader {
 public:
  DictReader(const std::string& file, std::string_view text, int version)
      : file_(file), text_(text), python_2_(version < 3) {}

  NpyHeader read() {
    NpyHeader header;
    std::optional<std::string> seen[3];
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      const int index = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (index < 0) reject(file_, "unknown key '" + shown(key) + "' in the .npy header");
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
  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n\f", at_), text_.size()); }
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
  // Python 2 wrote 3L for a dimension of 3.
  std::int64_t integer() {
    skip_space();
    std::int64_t value = 0;
    const std::size_t begin = at_;
    for (; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        reject(file_, "a dimension in the .npy header is too large");
    }
    if (at_ == begin || (at_ > begin + 1 && text_[begin] == '0'))
      reject(file_, "malformed .npy header: a dimension is not a number, or negative");
    if (python_2_ && at_ < text_.size() && text_[at_] == 'L') ++at_;
    return value;
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      if (values.size() == kMaxRank) reject(file_, "the array in the .npy header has too many dimensions");
      values.push_back(integer());
      if (accept(',')) continue;
      if (values.size() == 1)
        reject(file_, "malformed .npy header: the shape is no tuple (a comma is missing)");
      expect(')');
      break;
    }
    return values;
  }

  const std::string& file_;
  std::string_view text_;
  bool python_2_;
  std::size_t at_ = 0;
};

std::size_t item_size(const std::string& file, const std::string& dtype) {
  if (dtype.find('O') != std::string::npos)
    reject(file,
           "object arrays are not supported (dtype '" + shown(dtype) + "'): they hold Python's pickles");
  constexpr std::array<std::string_view, 14> kKnown = {"b1", "i1", "u1", "i2", "u2", "f2", "i4",
                                                       "u4", "f4", "i8", "u8", "f8", "c8", "c16"};
  if (!dtype.empty() && std::string_view("<>=|").find(dtype[0]) != std::string_view::npos)
    for (const std::string_view known : kKnown)
      if (known == std::string_view(dtype).substr(1)) return known == "c16" ? 16 : known[1] - '0';
  reject(file, "unknown dtype '" + shown(dtype) + "'");
}

std::size_t data_bytes(const std::string& file, const NpyHeader& header) {
  auto bytes = static_cast<std::int64_t>(header.item_size);
  bool is_empty = false;
  for (const std::int64_t dimension : header.shape) {
    is_empty |= dimension == 0;
    if (__builtin_mul_overflow(bytes, std::max<std::int64_t>(dimension, 1), &bytes))
      reject(file, "the shape in the .npy header is too large");
  }
  return is_empty ? 0 : static_cast<std::size_t>(bytes);
}

}  // namespace

std::size_t npy_data_offset(std::string_view beginning, std::size_t file_bytes, const std::string& name) {
  if (file_bytes == 0) reject(name, "empty: 0 bytes, an .npy file is expected");
  const std::string_view magic = beginning.substr(0, kMagic.size());
  if (magic != kMagic.substr(0, magic.size()))
    reject(name, "not an .npy file (the first bytes are not \\x93NUMPY)");
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(beginning[at]); };
  const bool has_version = beginning.size() >= 8;
  if (has_version && (byte(6) < 1 || byte(6) > 3 || byte(7) != 0))
    reject(name, "unknown .npy version " + std::to_string(byte(6)) + "." + std::to_string(byte(7)));
  const std::size_t text_at = has_version && byte(6) > 1 ? 12 : 10;
  if (beginning.size() < text_at) reject(name, "truncated: the .npy header ends early");
  std::size_t length = byte(8) | static_cast<std::size_t>(byte(9)) << 8;
  if (text_at == 12)
    length |= static_cast<std::size_t>(byte(10)) << 16 | static_cast<std::size_t>(byte(11)) << 24;
  if (length > kMaxHeader)
    reject(name, "the .npy header is too large: " + std::to_string(length) + " bytes, at most " +
                     std::to_string(kMaxHeader));
  if (text_at + length > file_bytes) reject(name, "truncated: the .npy header ends early");
  return text_at + length;
}

NpyHeader parse_npy_header(std::string_view beginning, std::size_t file_bytes, const std::string& name) {
  const std::size_t end = npy_data_offset(beginning, file_bytes, name);
  if (end > beginning.size()) reject(name, "truncated: the .npy header ends early");
  const std::size_t text_at = beginning[6] == 1 ? 10 : 12;
  NpyHeader header = DictReader(name, beginning.substr(text_at, end - text_at), beginning[6]).read();
  header.item_size = item_size(name, header.dtype);
  header.data_offset = end;
  const std::size_t wanted = data_bytes(name, header);
  const std::size_t present = file_bytes - end;
  if (present != wanted)
    reject(name, std::string(present < wanted ? "truncated" : "longer than its header says") + ": " +
                     std::to_string(present) + " bytes of data, " + std::to_string(wanted) +
                     " expected from the header");
  return header;
}

NpyHeader read_npy_header(const std::filesystem::path& file) { return NpyFile(file).header(); }

}  // namespace mdgen::format
