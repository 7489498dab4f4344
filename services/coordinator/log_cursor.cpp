#include "services/coordinator/log_cursor.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "services/coordinator/run_folder.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

// Bytes of the character that begins with `lead`; 0: it begins none.
std::size_t character_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

bool is_character(std::string_view bytes) {
  if (!std::all_of(bytes.begin() + 1, bytes.end(), continues)) return false;
  const auto lead = static_cast<unsigned char>(bytes[0]);
  const auto second = bytes.size() > 1 ? static_cast<unsigned char>(bytes[1]) : 0x80;
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  return !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second >= 0xA0) &&
         !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second >= 0x90);
}

std::string read_piece(const fs::path& file, std::int64_t offset, std::size_t bytes) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error(ErrorCode::kNotFound, file.string() + " cannot be read");
  stream.seekg(offset);
  std::string piece(bytes, '\0');
  stream.read(piece.data(), static_cast<std::streamsize>(bytes));
  piece.resize(static_cast<std::size_t>(stream.gcount()));
  return piece;
}

}  // namespace

std::size_t whole_characters(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const auto lead = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if (character_length(lead) > back) return bytes.size() - back;
    if (!continues(static_cast<char>(lead))) break;
  }
  return bytes.size();
}

std::string to_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t length = character_length(static_cast<unsigned char>(bytes[i]));
    if (length != 0 && i + length <= bytes.size() && is_character(bytes.substr(i, length))) {
      text.append(bytes.substr(i, length));
      i += length;
    } else {
      text += '?';
      ++i;
    }
  }
  return text;
}

LogCursor::LogCursor(const v1::StreamLogsRequest& request, std::function<LogRange()> range)
    : request_(request), range_(std::move(range)), offset_(request.offset()) {
  if (request.rank() < 0) throw Error(ErrorCode::kInvalidArgument, "rank: must be at least 0");
  if (request.offset() < 0) throw Error(ErrorCode::kInvalidArgument, "offset: must be at least 0");
}

std::optional<v1::StreamLogsResponse> LogCursor::next() {
  const LogRange range = range_();  // before the files: what was written before the end is then seen
  std::vector<int> attempts;
  for (const int attempt : log_attempts(range.folder, request_.rank())) {
    const bool chosen = request_.has_attempt() ? attempt == request_.attempt() : true;
    if (chosen && attempt >= range.first_attempt && attempt <= range.last_attempt)
      attempts.push_back(attempt);
  }
  exhausted_ = range.ended;
  if (attempts.empty() && range.ended)
    throw Error(
        ErrorCode::kNotFound,
        range.folder.string() + " holds no log of rank " + std::to_string(request_.rank()) +
            (request_.has_attempt() ? ", attempt " + std::to_string(request_.attempt()) : std::string()));
  std::int64_t begin = 0;
  for (const int attempt : attempts) {
    const fs::path file = log_file(range.folder, request_.rank(), attempt);
    std::error_code error;
    const auto size = static_cast<std::int64_t>(fs::file_size(file, error));
    if (error) throw Error(ErrorCode::kNotFound, file.string() + ": " + error.message());
    if (offset_ >= begin + size) {
      begin += size;
      continue;
    }
    std::string piece = read_piece(file, offset_ - begin, kPiece);
    const bool complete = attempt != attempts.back() || range.ended;
    if (!complete || piece.size() == kPiece) piece.resize(whole_characters(piece));
    if (piece.empty()) return std::nullopt;
    offset_ += static_cast<std::int64_t>(piece.size());
    v1::StreamLogsResponse response;
    response.set_text(to_utf8(piece));
    response.set_attempt(attempt);
    response.set_next_offset(offset_);
    return response;
  }
  return std::nullopt;
}

}  // namespace mdgen::coordinator
