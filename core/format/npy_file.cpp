#include "core/format/npy_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace mdgen::format {
namespace {

constexpr std::size_t kFirstRead = 4096;  // NumPy's own headers have 128 bytes

[[noreturn]] void cannot(const char* what, const std::string& file, int reason) {
  std::error_code error;
  const bool dangling = reason == ENOENT && std::filesystem::is_symlink(file, error);
  const ErrorCode code = reason == ENOENT || reason == ENOTDIR ? ErrorCode::kNotFound
                         : reason == EACCES || reason == EPERM ? ErrorCode::kFailedPrecondition
                                                               : ErrorCode::kUnavailable;
  throw Error(code,
              file + ": cannot " + what + ": " +
                  (dangling ? "a symbolic link to " + std::filesystem::read_symlink(file, error).string() +
                                  ", which does not exist"
                            : std::strerror(reason)));
}

const char* kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

// O_NONBLOCK: the opening of a FIFO would wait for a writer.
NpyFile::NpyFile(const std::filesystem::path& file)
    : name_(file.string()), descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
  if (descriptor_ < 0) cannot("open", name_, errno);
  try {
    examine();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

NpyFile::~NpyFile() { ::close(descriptor_); }

void NpyFile::examine() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) cannot("examine", name_, errno);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::kDataLoss, name_ + ": " + kind(status.st_mode) + ", an .npy file is expected");
  bytes_ = status.st_size;
  mtime_ns_ = status.st_mtim.tv_sec * std::int64_t{1000000000} + status.st_mtim.tv_nsec;

  const auto size = static_cast<std::size_t>(bytes_);
  std::string beginning(std::min(size, kFirstRead), '\0');
  read(std::as_writable_bytes(std::span(beginning)), 0);
  if (const std::size_t end = npy_data_offset(beginning, size, name_); end > beginning.size()) {
    beginning.resize(end);
    read(std::as_writable_bytes(std::span(beginning)), 0);
  }
  header_ = parse_npy_header(beginning, size, name_);
}

void NpyFile::read(std::span<std::byte> target, std::int64_t offset) const {
  while (!target.empty()) {
    const ssize_t got = ::pread(descriptor_, target.data(), target.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorCode::kDataLoss, name_ + ": cannot read: " + std::strerror(errno));
    if (got == 0)
      throw Error(ErrorCode::kDataLoss, name_ + ": the file ends early: it was truncated while in use");
    target = target.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
}

}  // namespace mdgen::format
