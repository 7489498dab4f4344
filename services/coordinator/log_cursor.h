// Reads the log of one rank of a job in pieces, from an offset on. An attempt that is named is one file;
// without one, the files of all attempts count as one text, the oldest first. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "mdgen/v1/job_service.pb.h"
#include "services/coordinator/coordinator.h"

namespace mdgen::coordinator {

class LogCursor {
 public:
  static constexpr std::size_t kPiece = 64 * 1024;

  LogCursor(const v1::StreamLogsRequest& request, std::function<LogRange()> range);

  // The next piece; nothing when there is none at the moment. Throws Error: kNotFound when the job has ended
  // without such a log, kInvalidArgument for an offset beyond the end of an ended job's log.
  std::optional<v1::StreamLogsResponse> next();
  // After next() gave nothing: no more will come.
  bool exhausted() const { return exhausted_; }

 private:
  v1::StreamLogsRequest request_;
  std::function<LogRange()> range_;
  std::int64_t offset_;
  bool exhausted_ = false;
};

}  // namespace mdgen::coordinator
