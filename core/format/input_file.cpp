#include "core/format/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace mdgen::format {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& file, int reason) {
  if (reason == ENOENT) throw Error(ErrorCode::kNotFound, file.string() + ": no such file");
  throw Error(ErrorCode::kUnavailable,
              std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(reason));
}

}  // namespace

InputFile::InputFile(std::filesystem::path file) : file_(std::move(file)) {
  fd_ = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail("open", file_, errno);
  struct stat status {};
  int reason = ::fstat(fd_, &status) == 0 ? 0 : errno;
  if (reason == 0 && !S_ISREG(status.st_mode)) reason = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  if (reason != 0) {
    ::close(fd_);
    fail("read", file_, reason);
  }
  size_ = static_cast<std::size_t>(status.st_size);
}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : file_(std::move(other.file_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

std::size_t InputFile::read(std::size_t at, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", file_, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace mdgen::format
