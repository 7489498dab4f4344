#include "core/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/digest.h"
#include "core/base/identity.h"

namespace mdgen {
namespace fs = std::filesystem;
namespace {

constexpr int kTries = 5;  // of a listing or a reading that goes stale
constexpr std::size_t kChunk = 4 << 20;

[[noreturn]] void fail(const char* what, const fs::path& file, int reason = errno) {
  const ErrorCode code = reason == ENOENT   ? ErrorCode::kNotFound
                         : reason == EEXIST ? ErrorCode::kAlreadyExists
                                            : ErrorCode::kUnavailable;
  const std::string text = std::string("cannot ") + what + " " + file.string() + ": " + std::strerror(reason);
  if (reason == ENOSPC || reason == EDQUOT) throw NoSpace(text);
  throw Error(code, text);
}

template <typename Call>
auto again_after_signal(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  Descriptor(const fs::path& file, int flags)
      : file_(file), fd_(again_after_signal([&] { return ::open(file.c_str(), flags, 0666); })) {
    if (fd_ < 0) fail("open", file);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = again_after_signal([&] { return ::write(fd_, bytes.data(), bytes.size()); });
      if (written < 0) fail("write", file_);
      if (written == 0) fail("write", file_, ENOSPC);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  int sync() {
    return again_after_signal([&] { return ::fsync(fd_); });
  }
  // Network file systems tell here what they could not write. After EINTR the descriptor is closed.
  void close() {
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0 && errno != EINTR) fail("close", file_);
  }

 private:
  fs::path file_;
  int fd_;
};

// Nothing when the file went stale under way.
std::optional<std::string> read_once(const fs::path& file) {
  Descriptor in(file, O_RDONLY | O_CLOEXEC);
  std::string text;
  std::size_t filled = 0;
  while (true) {
    if (text.size() - filled < 65536) text.resize(text.size() + std::max<std::size_t>(65536, text.size()));
    const ssize_t count =
        again_after_signal([&] { return ::read(in.get(), text.data() + filled, text.size() - filled); });
    if (count < 0 && errno == ESTALE) return std::nullopt;
    if (count < 0) fail("read", file);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

// Nothing when it went stale under way.
std::optional<std::vector<std::string>> list_once(const fs::path& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder.c_str()), &::closedir);
  if (!stream && errno == ENOENT) return std::vector<std::string>();
  if (!stream && errno == ESTALE) return std::nullopt;
  if (!stream) fail("list", folder);
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr && errno == ESTALE) return std::nullopt;
    if (entry == nullptr && errno != 0) fail("list", folder);
    if (entry == nullptr) return names;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

fs::path parent_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

}  // namespace

std::string read_file(const fs::path& file) {
  for (int i = 0; i < kTries; ++i)
    if (auto text = read_once(file)) return std::move(*text);
  fail("read", file, ESTALE);
}

void write_file_synced(const fs::path& file, std::string_view bytes) {
  write_file_synced(file, std::span<const std::string_view>(&bytes, 1));
}

void write_file_synced(const fs::path& file, std::span<const std::string_view> parts) {
  Descriptor out(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  for (const std::string_view bytes : parts) out.write(bytes);
  if (out.sync() != 0) fail("fsync", file);
  out.close();
}

WrittenFile write_file_recorded(const fs::path& file, std::span<const std::string_view> parts) {
  Descriptor out(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  WrittenFile written;
  Sha256 digest;
  for (std::string_view rest : parts) {
    written.bytes += static_cast<std::int64_t>(rest.size());
    while (!rest.empty()) {
      const std::string_view chunk = rest.substr(0, kChunk);
      digest.update(chunk);
      out.write(chunk);
      rest.remove_prefix(chunk.size());
    }
  }
  if (out.sync() != 0) fail("fsync", file);
  out.close();
  written.sha256 = digest.hex();
  return written;
}

void replace_file(const fs::path& file, std::string_view bytes) {
  replace_file(file, std::span<const std::string_view>(&bytes, 1));
}

void replace_file(const fs::path& file, std::span<const std::string_view> parts) {
  fs::path temporary = file;
  temporary += ".tmp-" + make_uuid();
  try {
    write_file_synced(temporary, parts);
    if (::rename(temporary.c_str(), file.c_str()) != 0) fail("rename to", file);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fsync_folder(parent_of(file));
}

void fsync_file(const fs::path& file) {
  Descriptor in(file, O_RDONLY | O_CLOEXEC);
  if (in.sync() != 0) fail("fsync", file);
  in.close();
}

void fsync_folder(const fs::path& folder) {
  Descriptor in(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (in.sync() != 0 && errno != EINVAL && errno != ENOTSUP) fail("fsync", folder);
}

void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0777) != 0) fail("create", folder);
}

void make_folders(const fs::path& folder) {
  if (folder.empty() || ::mkdir(folder.c_str(), 0777) == 0) {
    if (!folder.empty()) fsync_folder(parent_of(folder));
    return;
  }
  const int reason = errno;
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  if (reason != ENOENT || !folder.has_relative_path()) fail("create", folder, reason);
  make_folders(parent_of(folder));
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) fail("create", folder);
  fsync_folder(parent_of(folder));
}

std::vector<std::string> names_in_folder(const fs::path& folder) {
  for (int i = 0; i < kTries; ++i)
    if (auto names = list_once(folder)) return std::move(*names);
  fail("list", folder, ESTALE);
}

void drop_from_cache(const fs::path& file) noexcept {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

std::int64_t free_bytes(const fs::path& folder) {
  struct statvfs facts {};
  if (again_after_signal([&] { return ::statvfs(folder.c_str(), &facts); }) != 0) fail("examine", folder);
  return static_cast<std::int64_t>(facts.f_bavail) * static_cast<std::int64_t>(facts.f_frsize);
}

}  // namespace mdgen
