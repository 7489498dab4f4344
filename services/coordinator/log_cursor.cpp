#include "services/coordinator/log_cursor.h"

#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "core/base/text.h"
#include "services/coordinator/run_folder.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

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
