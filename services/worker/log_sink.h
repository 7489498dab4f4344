// Where a trainer's output goes: a pipe that is always read, a file of bounded size, and the last lines in
// memory for the report of its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace mdgen::worker {

// The last whole lines of a stream of bytes, and its last unfinished one. Not thread-safe.
class LastLines {
 public:
  explicit LastLines(std::size_t lines = 20, std::size_t line_bytes = 1000)
      : lines_(lines), line_bytes_(line_bytes) {}
  void add(std::string_view bytes);
  std::vector<std::string> get() const;

 private:
  void end_line();

  std::size_t lines_, line_bytes_;
  std::vector<std::string> ended_;
  std::string open_;
};

// A thread reads the pipe, another writes the file: a disk that hangs blocks neither the trainer nor the
// agent. What does not fit into the buffer between them, or into the file, is dropped; the file's last line
// says how much.
class LogSink {
 public:
  struct Limits {
    std::uint64_t file_bytes = 256ULL << 20;
    std::uint64_t buffer_bytes = 8ULL << 20;
  };

  // Makes the file's folder; appends to the file. Throws Error when the file or the pipe cannot be had.
  LogSink(const std::filesystem::path& file, Limits limits);
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  // The end that the child writes to, to be closed here once the child has it.
  int write_end() const { return write_end_; }
  void close_write_end();

  // Waits until all writers have closed the pipe and the file is written, at most so long for each; then the
  // last lines.
  std::vector<std::string> finish(std::chrono::milliseconds timeout);

 private:
  struct State;
  void stop();

  std::shared_ptr<State> state_;
  int write_end_ = -1;
  std::thread reader_, writer_;
};

}  // namespace mdgen::worker
