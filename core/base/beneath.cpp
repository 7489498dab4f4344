#include "core/base/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace mdgen {
namespace {

constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;  // a pipe holds nobody up

[[noreturn]] void refuse(const std::filesystem::path& file, int reason) {
  if (reason == EXDEV || reason == ELOOP) {
    throw Error(ErrorCode::kPermissionDenied, file.string() + " leads out of its folder");
  }
  throw Error(ErrorCode::kNotFound, file.string() + " cannot be read: " + std::strerror(reason));
}

int open_in(int folder, const std::filesystem::path& root, const std::filesystem::path& relative) {
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const long opened = ::syscall(SYS_openat2, folder, relative.c_str(), &how, sizeof how);
  if (opened >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(opened);
  // Kernels before 5.6, and sandboxes that do not know the call.
  if (!is_beneath(root / relative, root)) {
    errno = EXDEV;
    return -1;
  }
  return ::openat(folder, relative.c_str(), kFlags);
}

}  // namespace

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

OpenFile open_beneath(const std::filesystem::path& folder, const std::filesystem::path& relative) {
  const std::filesystem::path file = folder / relative;
  const OpenFile root(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root.descriptor() < 0) refuse(file, errno);
  OpenFile opened(open_in(root.descriptor(), folder, relative));
  if (opened.descriptor() < 0) refuse(file, errno);
  struct stat facts {};
  if (::fstat(opened.descriptor(), &facts) != 0) refuse(file, errno);
  if (!S_ISREG(facts.st_mode)) throw Error(ErrorCode::kNotFound, file.string() + " is no regular file");
  return opened;
}

bool is_beneath(const std::filesystem::path& path, const std::filesystem::path& root) {
  const auto real = std::filesystem::weakly_canonical(path), below = std::filesystem::weakly_canonical(root);
  const auto [rest, unused] = std::mismatch(below.begin(), below.end(), real.begin(), real.end());
  return rest == below.end() || (std::next(rest) == below.end() && rest->empty());
}

}  // namespace mdgen
