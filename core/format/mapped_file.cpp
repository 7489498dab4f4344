#include "core/format/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
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
  throw Error(reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
              std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(reason));
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("open", file, errno);
  struct stat status {};
  int reason = ::fstat(fd, &status) == 0 ? 0 : errno;
  if (reason == 0 && !S_ISREG(status.st_mode)) reason = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  if (reason == 0 && status.st_size > 0) {
    size_ = static_cast<std::size_t>(status.st_size);
    address_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    if (address_ == MAP_FAILED) {
      reason = errno;
      address_ = nullptr;
    }
  }
  ::close(fd);
  if (reason != 0) fail("read", file, reason);
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace mdgen::format
