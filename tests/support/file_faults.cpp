#include "tests/support/file_faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace mdgen::testing {
namespace {

using Kind = FileFault::Kind;

struct Plan {
  std::mutex mutex;
  std::string below;
  FileFault fault;
  std::vector<std::string> log;
};
Plan& plan() {
  static Plan instance;
  return instance;
}
std::atomic<bool> armed{false};

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::string path_of(int fd) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}
std::string path_at(int folder, const char* path) {
  return path[0] == '/' ? std::string(path) : (folder == AT_FDCWD ? "" : path_of(folder)) + "/" + path;
}

// What to do at this call.
FileFault decide(const char* call, const std::string& path, bool needs_space) {
  Plan& now = plan();
  const std::lock_guard lock(now.mutex);
  if (!path.starts_with(now.below)) return {};
  const int index = static_cast<int>(now.log.size());
  now.log.push_back(std::string(call) + " " + path);
  const bool later = now.fault.from_then_on && needs_space && index > now.fault.at;
  return index == now.fault.at || (now.fault.at >= 0 && later) ? now.fault : FileFault{};
}

[[noreturn]] void die() {
  ::raise(SIGKILL);
  ::_exit(127);
}

template <typename Real, typename Half>
auto with_fault(const FileFault& fault, const Real& real, const Half& half) -> decltype(real()) {
  if (fault.kind == Kind::kKillBefore) die();
  if (fault.kind == Kind::kError) {
    errno = fault.error;
    return -1;
  }
  if (fault.kind == Kind::kShort) return half();
  if (fault.kind == Kind::kKillHalfway) {
    half();
    die();
  }
  const auto result = real();
  if (fault.kind == Kind::kKillAfter) die();
  if (fault.kind == Kind::kErrorAfter) {
    errno = fault.error;
    return -1;
  }
  return result;
}

template <typename Real>
int call_with_fault(const FileFault& fault, const Real& real) {
  return with_fault(fault, real, [&] { return fault.kind == Kind::kKillHalfway ? 0 : real(); });
}

}  // namespace

FileFaults::FileFaults(const std::filesystem::path& below, FileFault fault) {
  Plan& now = plan();
  const std::lock_guard lock(now.mutex);
  now.below = below.string();
  now.fault = fault;
  now.log.clear();
  armed = true;
}

FileFaults::~FileFaults() { armed = false; }

int FileFaults::calls() const { return static_cast<int>(log().size()); }

std::vector<std::string> FileFaults::log() const {
  Plan& now = plan();
  const std::lock_guard lock(now.mutex);
  return now.log;
}

}  // namespace mdgen::testing

// The C library's own names, in front of its own.
namespace faults = mdgen::testing;

extern "C" {

#define MDGEN_MODE(flags, mode)                         \
  mode_t mode = 0;                                      \
  if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {         \
    va_list arguments;                                  \
    va_start(arguments, flags);                         \
    mode = static_cast<mode_t>(va_arg(arguments, int)); \
    va_end(arguments);                                  \
  }

int open(const char* path, int flags, ...) {
  MDGEN_MODE(flags, mode)
  static auto* const real = faults::next<int(const char*, int, ...)>("open");
  const auto call = [&] { return real(path, flags, mode); };
  if (!faults::armed) return call();
  return faults::call_with_fault(faults::decide("open", path, (flags & O_CREAT) != 0), call);
}

int open64(const char* path, int flags, ...) {
  MDGEN_MODE(flags, mode)
  static auto* const real = faults::next<int(const char*, int, ...)>("open64");
  const auto call = [&] { return real(path, flags, mode); };
  if (!faults::armed) return call();
  return faults::call_with_fault(faults::decide("open", path, (flags & O_CREAT) != 0), call);
}

int openat(int folder, const char* path, int flags, ...) {
  MDGEN_MODE(flags, mode)
  static auto* const real = faults::next<int(int, const char*, int, ...)>("openat");
  const auto call = [&] { return real(folder, path, flags, mode); };
  if (!faults::armed) return call();
  return faults::call_with_fault(
      faults::decide("open", faults::path_at(folder, path), (flags & O_CREAT) != 0), call);
}

ssize_t read(int fd, void* bytes, size_t count) {
  static auto* const real = faults::next<ssize_t(int, void*, size_t)>("read");
  const auto some = [&](size_t wanted) { return real(fd, bytes, wanted); };
  if (!faults::armed) return some(count);
  return faults::with_fault(
      faults::decide("read", faults::path_of(fd), false), [&] { return some(count); },
      [&] { return some(count / 2 + 1 < count ? count / 2 + 1 : count); });
}

ssize_t write(int fd, const void* bytes, size_t count) {
  static auto* const real = faults::next<ssize_t(int, const void*, size_t)>("write");
  const auto some = [&](size_t wanted) { return real(fd, bytes, wanted); };
  if (!faults::armed) return some(count);
  return faults::with_fault(
      faults::decide("write", faults::path_of(fd), true), [&] { return some(count); },
      [&] { return some((count + 1) / 2); });
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  static auto* const real = faults::next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const auto some = [&](size_t wanted) { return real(fd, bytes, wanted, offset); };
  if (!faults::armed) return some(count);
  return faults::with_fault(
      faults::decide("write", faults::path_of(fd), true), [&] { return some(count); },
      [&] { return some((count + 1) / 2); });
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  return pwrite(fd, bytes, count, offset);
}

int fsync(int fd) {
  static auto* const real = faults::next<int(int)>("fsync");
  if (!faults::armed) return real(fd);
  return faults::call_with_fault(faults::decide("fsync", faults::path_of(fd), false),
                                 [&] { return real(fd); });
}

int fdatasync(int fd) {
  static auto* const real = faults::next<int(int)>("fdatasync");
  if (!faults::armed) return real(fd);
  return faults::call_with_fault(faults::decide("fsync", faults::path_of(fd), false),
                                 [&] { return real(fd); });
}

int close(int fd) {
  static auto* const real = faults::next<int(int)>("close");
  if (!faults::armed) return real(fd);
  faults::FileFault fault = faults::decide("close", faults::path_of(fd), false);
  if (fault.kind == faults::Kind::kError) fault.kind = faults::Kind::kErrorAfter;
  return faults::call_with_fault(fault, [&] { return real(fd); });
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = faults::next<int(const char*, const char*)>("rename");
  if (!faults::armed) return real(from, to);
  return faults::call_with_fault(faults::decide("rename", from, false), [&] { return real(from, to); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = faults::next<int(const char*, mode_t)>("mkdir");
  if (!faults::armed) return real(path, mode);
  return faults::call_with_fault(faults::decide("mkdir", path, true), [&] { return real(path, mode); });
}

int unlink(const char* path) noexcept {
  static auto* const real = faults::next<int(const char*)>("unlink");
  if (!faults::armed) return real(path);
  return faults::call_with_fault(faults::decide("unlink", path, false), [&] { return real(path); });
}

int remove(const char* path) noexcept {
  static auto* const real = faults::next<int(const char*)>("remove");
  if (!faults::armed) return real(path);
  return faults::call_with_fault(faults::decide("unlink", path, false), [&] { return real(path); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  static auto* const real = faults::next<int(int, const char*, int)>("unlinkat");
  if (!faults::armed) return real(folder, path, flags);
  return faults::call_with_fault(faults::decide("unlink", faults::path_at(folder, path), false),
                                 [&] { return real(folder, path, flags); });
}

int rmdir(const char* path) noexcept {
  static auto* const real = faults::next<int(const char*)>("rmdir");
  if (!faults::armed) return real(path);
  return faults::call_with_fault(faults::decide("unlink", path, false), [&] { return real(path); });
}

}  // extern "C"
