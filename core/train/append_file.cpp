#include "core/train/append_file.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace mdgen::train {

AppendFile::AppendFile(std::filesystem::path file)
    : file_(std::move(file)), fd_(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) {
  if (fd_ < 0)
    throw Error(ErrorCode::kUnavailable,
                file_.string() + ": cannot be opened for writing: " + std::strerror(errno));
}

AppendFile::~AppendFile() {
  try {
    if (!write_waiting())
      spdlog::warn("{}: {} bytes at its end are lost: the disk is full", file_.string(), waiting_.size());
  } catch (const Error& error) {
    spdlog::warn("{}", error.what());
  }
  ::close(fd_);
}

bool AppendFile::write_waiting() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(fd_, waiting_.data(), waiting_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && (errno == ENOSPC || errno == EDQUOT)) return false;
    if (written < 0)
      throw Error(ErrorCode::kUnavailable, file_.string() + ": cannot be written: " + std::strerror(errno));
    waiting_.erase(0, static_cast<std::size_t>(written));
  }
  return true;
}

void AppendFile::append(std::string_view text) {
  waiting_ += text;
  const bool full = !write_waiting();
  if (full && waiting_.size() > kMostWaiting)
    throw Error(ErrorCode::kUnavailable, file_.string() + ": the disk has been full for too long");
  if (full != std::exchange(full_, full)) {
    if (full)
      spdlog::warn("{}: the disk is full: lines wait in memory", file_.string());
    else
      spdlog::info("{}: the lines that waited are written", file_.string());
  }
}

}  // namespace mdgen::train
