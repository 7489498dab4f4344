// The log and the progress of a run on stderr.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "core/prep/progress.h"

namespace mdgen::prep {

// Shows progress on stderr, between the log's lines: on a terminal one line that is written again and again,
// elsewhere one every half minute. Thread-safe.
class Console {
 public:
  Console(Progress progress, bool terminal, const Clock& clock);
  ~Console();  // leaves no line behind
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void update(const std::function<void(Progress&)>& change);
  void info(const std::string& text);
  void warn(const std::string& text);
  void error(const std::string& text);

 private:
  void say(int level, const std::string& text);
  void draw(bool now);
  void clear();

  std::mutex mutex_;
  Progress progress_;
  const bool terminal_;
  const Clock& clock_;
  Clock::Steady last_;
  bool drawn_ = false;
};

}  // namespace mdgen::prep
