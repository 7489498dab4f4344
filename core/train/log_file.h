// <run folder>/log.out: lines in the format of the reference's logger, such as
//   2026-01-31 12:00:00,123 [host:4711] [INFO] {'train_loss': 0.9, …}
#pragma once

#include <filesystem>
#include <string>

#include "core/base/clock.h"
#include "core/train/append_file.h"

namespace mdgen::train {

// The line without its end; local time, as Python's logging.
std::string log_line(Clock::Wall when, const std::string& host, long process, const std::string& text);

// Appends, at once. Lines of earlier runs stay: it is a log, not a state. Not thread-safe.
class LogFile {
 public:
  LogFile(std::filesystem::path file, const Clock& clock);
  void info(const std::string& text);  // throws Error(kUnavailable) when it cannot be written

 private:
  AppendFile file_;
  const Clock& clock_;
};

}  // namespace mdgen::train
