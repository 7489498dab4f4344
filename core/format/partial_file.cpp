#include "core/format/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::format {
namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& file) {
  const int reason = errno;
  throw Error(ErrorCode::kUnavailable, "cannot " + what + " " + file.string() + ": " + std::strerror(reason));
}

// An exclusive lock on the file that has the name now, not on one that was renamed meanwhile.
bool lock(int fd, const std::filesystem::path& name) {
  struct stat held {};
  struct stat named {};
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &held) == 0 &&
         ::stat(name.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

}  // namespace

PartialFile::PartialFile(std::filesystem::path file)
    : file_(std::move(file)), partial_(file_.string() + ".partial") {
  fd_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("open", partial_);
  if (!lock(fd_, partial_)) {
    ::close(fd_);
    throw Error(ErrorCode::kAborted, partial_.string() + ": another process is writing it");
  }
  if (::ftruncate(fd_, 0) != 0) {
    ::close(fd_);
    fail("empty", partial_);
  }
}

PartialFile::~PartialFile() {
  if (fd_ < 0) return;
  ::unlink(partial_.c_str());
  ::close(fd_);
}

void PartialFile::sync() {
  if (::fsync(fd_) != 0) fail("fsync", partial_);
}

void PartialFile::publish() {
  sync();
  if (::rename(partial_.c_str(), file_.c_str()) != 0) fail("rename to", file_);
  ::close(std::exchange(fd_, -1));
  fsync_folder(file_.has_parent_path() ? file_.parent_path() : std::filesystem::path("."));
}

}  // namespace mdgen::format
