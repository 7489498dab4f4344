#include "core/format/npy_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::format {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& file) {
  throw Error(ErrorCode::kUnavailable,
              std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(errno));
}

std::string preamble(const std::string& dtype, std::span<const std::int64_t> shape) {
  std::string text = "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  text += shape.size() == 1 ? ",), }" : "), }";
  constexpr std::size_t kPrefix = 10;
  constexpr std::size_t kAlign = 64;
  text.append((kAlign - (kPrefix + text.size() + 1) % kAlign) % kAlign, ' ');
  text += '\n';
  std::string start = "\x93NUMPY";
  start += {'\1', '\0', static_cast<char>(text.size() & 0xffU), static_cast<char>(text.size() >> 8)};
  return start + text;
}

// An exclusive lock on the file that has the name now, not on one that was renamed meanwhile.
bool lock(int fd, const std::filesystem::path& name) {
  struct stat held {};
  struct stat named {};
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &held) == 0 &&
         ::stat(name.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

}  // namespace

NpyWriter::NpyWriter(const std::filesystem::path& file, const std::string& dtype,
                     std::span<const std::int64_t> shape)
    : file_(file), partial_(file.string() + ".partial") {
  if (dtype.size() != 3 || dtype[2] < '1' || dtype[2] > '8')
    throw Error(ErrorCode::kInternal, file.string() + ": dtype '" + dtype + "' cannot be written");
  missing_ = std::accumulate(shape.begin(), shape.end(), static_cast<std::size_t>(dtype[2] - '0'),
                             std::multiplies<>());
  fd_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("open", partial_);
  if (!lock(fd_, partial_)) {
    ::close(fd_);
    throw Error(ErrorCode::kAborted, partial_.string() + ": another process is writing it");
  }
  try {
    if (::ftruncate(fd_, 0) != 0) fail("empty", partial_);
    write(preamble(dtype, shape));
  } catch (...) {
    ::unlink(partial_.c_str());
    ::close(fd_);
    throw;
  }
}

NpyWriter::NpyWriter(NpyWriter&& other) noexcept
    : file_(std::move(other.file_)),
      partial_(std::move(other.partial_)),
      fd_(std::exchange(other.fd_, -1)),
      missing_(other.missing_) {}

NpyWriter::~NpyWriter() {
  if (fd_ < 0) return;
  ::unlink(partial_.c_str());
  ::close(fd_);
}

void NpyWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", partial_);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void NpyWriter::append(std::span<const std::byte> data) {
  if (data.size() > missing_)
    throw Error(ErrorCode::kInternal, file_.string() + ": more data than the shape holds");
  write({reinterpret_cast<const char*>(data.data()), data.size()});
  missing_ -= data.size();
}

void NpyWriter::finish() {
  if (missing_ > 0)
    throw Error(ErrorCode::kInternal,
                file_.string() + ": " + std::to_string(missing_) + " bytes are missing to fill the shape");
  if (::fsync(fd_) != 0) fail("fsync", partial_);
}

void NpyWriter::publish() {
  if (::rename(partial_.c_str(), file_.c_str()) != 0) fail("rename to", file_);
  ::close(std::exchange(fd_, -1));
  fsync_folder(file_.has_parent_path() ? file_.parent_path() : std::filesystem::path("."));
}

}  // namespace mdgen::format
