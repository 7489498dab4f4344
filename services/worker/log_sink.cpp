#include "services/worker/log_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::worker {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kUnavailable, what + ": " + std::strerror(errno));
}

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int number) : fd(number) {}
  Descriptor(Descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Descriptor open_log(const std::filesystem::path& file) {
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error) throw Error(ErrorCode::kUnavailable, file.parent_path().string() + ": " + error.message());
  Descriptor log(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log.fd < 0) fail(file.string());
  return log;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

void LastLines::add(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::size_t room = line_bytes_ - std::min(line_bytes_, open_.size());
    open_.append(bytes.substr(at, std::min(end - at, room)));
    if (end < bytes.size()) end_line();
    at = end + 1;
  }
}

void LastLines::end_line() {
  if (ended_.size() == lines_) ended_.erase(ended_.begin());
  ended_.push_back(std::exchange(open_, {}));
}

std::vector<std::string> LastLines::get() const {
  std::vector<std::string> lines = ended_;
  if (!open_.empty()) lines.push_back(open_);
  if (lines.size() > lines_) lines.erase(lines.begin());
  std::transform(lines.begin(), lines.end(), lines.begin(), to_utf8);
  return lines;
}

struct LogSink::State {
  State(Descriptor log, Descriptor pipe, Descriptor quit, Limits bounds)
      : file(std::move(log)), read_end(std::move(pipe)), stop(std::move(quit)), limits(bounds) {}

  Descriptor file, read_end, stop;
  Limits limits;
  std::mutex mutex;
  std::condition_variable changed;
  std::string buffer;
  LastLines last;
  std::uint64_t dropped = 0;
  bool read_to_end = false, written_to_end = false;

  void take(std::string_view bytes) {
    const std::lock_guard lock(mutex);
    last.add(bytes);
    if (buffer.size() + bytes.size() > limits.buffer_bytes) {
      dropped += bytes.size();
      return;
    }
    buffer.append(bytes);
    changed.notify_all();
  }

  void read_all() {
    std::array<char, 65536> chunk{};
    std::array<pollfd, 2> watched{{{read_end.fd, POLLIN, 0}, {stop.fd, POLLIN, 0}}};
    while (true) {
      if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) break;
      if (watched[0].revents == 0 && watched[1].revents != 0) break;
      if (watched[0].revents == 0) continue;
      const ssize_t got = ::read(read_end.fd, chunk.data(), chunk.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      take({chunk.data(), static_cast<std::size_t>(got)});
    }
    const std::lock_guard lock(mutex);
    read_to_end = true;
    changed.notify_all();
  }

  void write_all_out() {
    std::uint64_t room = limits.file_bytes;
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return !buffer.empty() || read_to_end; });
      if (buffer.empty()) break;
      const std::string bytes = std::exchange(buffer, {});
      const std::size_t fits = std::min<std::uint64_t>(bytes.size(), room);
      lock.unlock();
      const bool written = write_all(file.fd, std::string_view(bytes).substr(0, fits));
      lock.lock();
      room -= fits;
      dropped += written ? bytes.size() - fits : bytes.size();
    }
    const std::string note = "\n[" + std::to_string(dropped) + " bytes of output were dropped]\n";
    if (dropped > 0) write_all(file.fd, note);
    written_to_end = true;
    changed.notify_all();
  }
};

LogSink::LogSink(const std::filesystem::path& file, Limits limits) {
  Descriptor log = open_log(file);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe for the trainer's output");
  Descriptor read_end(ends[0]);
  write_end_ = ends[1];
  Descriptor quit(::eventfd(0, EFD_CLOEXEC));
  if (quit.fd < 0) {
    close_write_end();
    fail("eventfd");
  }
  state_ = std::make_shared<State>(std::move(log), std::move(read_end), std::move(quit), limits);
  reader_ = std::thread([state = state_] { state->read_all(); });
  writer_ = std::thread([state = state_] { state->write_all_out(); });
}

LogSink::~LogSink() {
  close_write_end();
  stop();
  if (reader_.joinable()) reader_.join();
  if (!writer_.joinable()) return;
  std::unique_lock lock(state_->mutex);
  const bool done = state_->written_to_end;
  lock.unlock();
  // A writer that hangs in the file system is left behind with what it owns.
  done ? writer_.join() : writer_.detach();
}

void LogSink::close_write_end() {
  if (write_end_ >= 0) ::close(std::exchange(write_end_, -1));
}

void LogSink::stop() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(state_->stop.fd, &one, sizeof one);
}

std::vector<std::string> LogSink::finish(std::chrono::milliseconds timeout) {
  close_write_end();
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, timeout, [this] { return state_->read_to_end; });
  if (!state_->read_to_end) stop();
  state_->changed.wait_for(lock, timeout, [this] { return state_->written_to_end; });
  return state_->last.get();
}

}  // namespace mdgen::worker
