#include "services/coordinator/log_cursor.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "services/coordinator/log_position.h"
#include "services/coordinator/run_folder.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace fs = std::filesystem;
namespace {

void check(bool right, const char* problem) {
  if (!right) throw Error(ErrorCode::kInvalidArgument, problem);
}

}  // namespace

LogCursor::LogCursor(const v1::StreamLogsRequest& request, std::function<LogRange()> range,
                     std::size_t piece_bytes)
    : request_(request),
      range_(std::move(range)),
      piece_bytes_(piece_bytes),
      offset_(request.offset()),
      started_(request.offset() > 0 || (!request.has_since() && request.tail_bytes() == 0)) {
  check(request.rank() >= 0, "rank: must be at least 0");
  check(request.offset() >= 0, "offset: must be at least 0");
  check(request.tail_bytes() >= 0, "tail_bytes: must be at least 0");
  check(!request.has_attempt() || request.attempt() > 0, "attempt: must be at least 1");
}

std::vector<LogCursor::Part> LogCursor::parts(const LogRange& range) const {
  std::vector<Part> all;
  std::int64_t begin = 0;
  for (const int attempt : log_attempts(range.folder, request_.rank())) {
    const bool chosen = !request_.has_attempt() || attempt == request_.attempt();
    if (!chosen || attempt < range.first_attempt || attempt > range.last_attempt) continue;
    const fs::path file = log_file(range.folder, request_.rank(), attempt);
    std::error_code error;
    const auto size = static_cast<std::int64_t>(fs::file_size(file, error));
    if (error) throw Error(ErrorCode::kNotFound, file.string() + ": " + error.message());
    all.push_back({attempt, file, begin, size});
    begin += size;
  }
  return all;
}

// Of the two, whichever leaves out more.
std::int64_t LogCursor::start(const std::vector<Part>& parts) const {
  std::int64_t first = 0;
  if (request_.has_since()) {
    first = parts.back().begin + parts.back().size;
    for (const Part& part : parts) {
      const std::int64_t found = offset_since(part.file, part.size, to_wall(request_.since()));
      if (found == part.size) continue;
      first = part.begin + found;
      break;
    }
  }
  const std::int64_t total = parts.back().begin + parts.back().size;
  if (request_.tail_bytes() == 0 || total - request_.tail_bytes() <= first) return first;
  const std::int64_t tail = total - request_.tail_bytes();
  const auto holds = [&](const Part& part) { return tail < part.begin + part.size; };
  const Part& part = *std::find_if(parts.begin(), parts.end(), holds);
  return part.begin + line_start(part.file, std::max<std::int64_t>(0, tail - part.begin));
}

std::optional<v1::StreamLogsResponse> LogCursor::next() {
  const LogRange range = range_();  // before the files: what was written before the end is then seen
  const std::vector<Part> all = parts(range);
  exhausted_ = range.ended;
  if (all.empty() && range.ended)
    throw Error(
        ErrorCode::kNotFound,
        range.folder.string() + " holds no log of rank " + std::to_string(request_.rank()) +
            (request_.has_attempt() ? ", attempt " + std::to_string(request_.attempt()) : std::string()));
  if (all.empty()) return std::nullopt;
  if (!std::exchange(started_, true)) offset_ = start(all);
  for (const Part& part : all) {
    if (offset_ < part.begin + part.size) return read(part, &part != &all.back() || range.ended);
    attempt_ = part.attempt;
  }
  return std::nullopt;
}

std::optional<v1::StreamLogsResponse> LogCursor::read(const Part& part, bool is_complete) {
  const std::int64_t left = part.begin + part.size - offset_;
  const std::size_t most = std::min(piece_bytes_, static_cast<std::size_t>(left));
  std::string piece = read_piece(part.file, offset_ - part.begin, most);
  if (!is_complete || piece.size() == piece_bytes_) piece.resize(whole_characters(piece));
  if (piece.empty()) return std::nullopt;
  offset_ += static_cast<std::int64_t>(piece.size());
  attempt_ = part.attempt;
  v1::StreamLogsResponse response;
  response.set_text(to_utf8(piece));
  response.set_attempt(part.attempt);
  response.set_next_offset(offset_);
  return response;
}

}  // namespace mdgen::coordinator
