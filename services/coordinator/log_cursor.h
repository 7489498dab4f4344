// Reads the log of one rank of a job in pieces, from an offset on. An attempt that is named is one file;
// without one, the files of all attempts count as one text, the oldest first. Offsets are those of the files'
// bytes: they mean the same to every coordinator, whenever it was started. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/job_service.pb.h"
#include "services/coordinator/coordinator.h"

namespace mdgen::coordinator {

class LogCursor {
 public:
  static constexpr std::size_t kPiece = 64 * 1024;

  // `piece_bytes`: how much next() gives at most. Throws Error(kInvalidArgument) for a negative rank,
  // attempt, offset or tail_bytes.
  LogCursor(const v1::StreamLogsRequest& request, std::function<LogRange()> range,
            std::size_t piece_bytes = kPiece);

  // The next piece; nothing when there is none at the moment. Throws Error(kNotFound) when the job has ended
  // without such a log.
  std::optional<v1::StreamLogsResponse> next();
  // After next() gave nothing: no more will come.
  bool exhausted() const { return exhausted_; }
  // Where next() goes on, and the attempt that it read last.
  std::int64_t offset() const { return offset_; }
  int attempt() const { return attempt_; }

 private:
  struct Part {
    int attempt = 0;
    std::filesystem::path file;
    std::int64_t begin = 0;  // within the text of all parts
    std::int64_t size = 0;
  };
  std::vector<Part> parts(const LogRange& range) const;
  std::int64_t start(const std::vector<Part>& parts) const;
  std::optional<v1::StreamLogsResponse> read(const Part& part, bool is_complete);

  v1::StreamLogsRequest request_;
  std::function<LogRange()> range_;
  const std::size_t piece_bytes_;
  std::int64_t offset_;
  bool started_;  // `since` and `tail_bytes` are dealt with
  int attempt_ = 0;
  bool exhausted_ = false;
};

}  // namespace mdgen::coordinator
