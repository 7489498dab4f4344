#include "core/base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/base/error.h"
#include "core/base/identity.h"

namespace mdgen {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& file) {
  const int reason = errno;
  const ErrorCode code = reason == ENOENT   ? ErrorCode::kNotFound
                         : reason == EEXIST ? ErrorCode::kAlreadyExists
                                            : ErrorCode::kUnavailable;
  throw Error(code, std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(reason));
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags)
      : file_(file), fd_(::open(file.c_str(), flags, 0666)) {
    if (fd_ < 0) fail("open", file);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  void close() {
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) fail("close", file_);
  }

 private:
  std::filesystem::path file_;
  int fd_;
};

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail("open", file);
  std::string text;
  std::array<char, 65536> chunk;
  while (stream.read(chunk.data(), chunk.size()) || stream.gcount() > 0)
    text.append(chunk.data(), static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) fail("read", file);
  return text;
}

void write_file_synced(const std::filesystem::path& file, std::string_view bytes) {
  write_file_synced(file, std::span<const std::string_view>(&bytes, 1));
}

void write_file_synced(const std::filesystem::path& file, std::span<const std::string_view> parts) {
  Descriptor out(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  for (std::string_view bytes : parts) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(out.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write", file);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (::fsync(out.get()) != 0) fail("fsync", file);
  out.close();
}

void replace_file(const std::filesystem::path& file, std::string_view bytes) {
  replace_file(file, std::span<const std::string_view>(&bytes, 1));
}

void replace_file(const std::filesystem::path& file, std::span<const std::string_view> parts) {
  std::filesystem::path temporary = file;
  temporary += ".tmp-" + make_uuid();
  try {
    write_file_synced(temporary, parts);
    if (::rename(temporary.c_str(), file.c_str()) != 0) fail("rename to", file);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fsync_folder(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
}

void fsync_file(const std::filesystem::path& file) {
  Descriptor in(file, O_RDONLY | O_CLOEXEC);
  if (::fsync(in.get()) != 0) fail("fsync", file);
  in.close();
}

void fsync_folder(const std::filesystem::path& folder) {
  Descriptor in(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (::fsync(in.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail("fsync", folder);
}

}  // namespace mdgen
