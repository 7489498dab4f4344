#include "services/coordinator/log_position.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/base/beneath.h"
#include "core/base/error.h"

namespace mdgen::coordinator {
namespace {

constexpr std::int64_t kWindow = 64 * 1024;
constexpr std::int64_t kLongestLine = std::int64_t{1} << 20;

bool parse_digits(std::string_view text, std::size_t at, std::size_t count, int& value) {
  const char* begin = text.data() + at;
  const auto [end, error] = std::from_chars(begin, begin + count, value);
  return error == std::errc() && end == begin + count && value >= 0;
}

struct Stamped {
  std::int64_t offset = 0;
  std::chrono::system_clock::time_point time;
};

// The first line with a time that begins in [from, to).
std::optional<Stamped> first_stamp(const std::filesystem::path& file, std::int64_t from, std::int64_t to) {
  std::string text;
  std::int64_t begin = std::max<std::int64_t>(0, from - 1);
  bool at_start = from == 0;
  while (begin < to) {
    text = read_piece(file, begin, static_cast<std::size_t>(kWindow));
    if (text.empty()) return std::nullopt;
    std::size_t at = 0;
    while (true) {
      if (!at_start) {
        const auto end = text.find('\n', at);
        if (end == std::string::npos) break;
        at = end + 1;
      }
      at_start = false;
      const std::int64_t offset = begin + static_cast<std::int64_t>(at);
      if (offset >= to) return std::nullopt;
      const std::string line = text.size() - at >= 32 ? text.substr(at, 32) : read_piece(file, offset, 32);
      if (const auto time = time_of_line(line)) return Stamped{offset, *time};
    }
    begin += static_cast<std::int64_t>(text.size());
  }
  return std::nullopt;
}

}  // namespace

std::string read_piece(const std::filesystem::path& file, std::int64_t offset, std::size_t bytes) {
  const auto logs = file.parent_path();
  const OpenFile opened = open_beneath(logs.parent_path(), logs.filename() / file.filename());
  std::string piece(bytes, '\0');
  const ssize_t got = ::pread(opened.descriptor(), piece.data(), piece.size(), static_cast<off_t>(offset));
  if (got < 0)
    throw Error(ErrorCode::kUnavailable, file.string() + " cannot be read: " + std::strerror(errno));
  piece.resize(static_cast<std::size_t>(got));
  return piece;
}

std::optional<std::chrono::system_clock::time_point> time_of_line(std::string_view line) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00.000Z ";
  if (line.size() < kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] != '0' && line[i] != kForm[i]) return std::nullopt;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, milli = 0;
  const bool numbers = parse_digits(line, 0, 4, year) && parse_digits(line, 5, 2, month) &&
                       parse_digits(line, 8, 2, day) && parse_digits(line, 11, 2, hour) &&
                       parse_digits(line, 14, 2, minute) && parse_digits(line, 17, 2, second) &&
                       parse_digits(line, 20, 3, milli);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!numbers || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(milli);
}

std::int64_t offset_since(const std::filesystem::path& file, std::int64_t size,
                          std::chrono::system_clock::time_point since) {
  std::int64_t low = 0;  // lines with a time that begin before it are too old
  std::int64_t high = size;
  std::int64_t found = size;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    const auto stamp = first_stamp(file, middle, high);
    if (!stamp) {
      high = middle;
    } else if (stamp->time >= since) {
      found = stamp->offset;
      high = middle;
    } else {
      low = stamp->offset + 1;
    }
  }
  return found;
}

std::int64_t line_start(const std::filesystem::path& file, std::int64_t offset) {
  if (offset == 0) return 0;
  for (std::int64_t at = offset - 1; at < offset + kLongestLine; at += kWindow) {
    const std::string text = read_piece(file, at, static_cast<std::size_t>(kWindow));
    const auto end = text.find('\n');
    if (end != std::string::npos) return at + static_cast<std::int64_t>(end) + 1;
    if (text.size() < static_cast<std::size_t>(kWindow)) break;
  }
  std::int64_t start = offset;
  for (const char byte : read_piece(file, offset, 3)) {
    if ((static_cast<unsigned char>(byte) & 0xC0U) != 0x80U) break;
    ++start;
  }
  return start;
}

}  // namespace mdgen::coordinator
