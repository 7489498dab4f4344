// A disk that is full soon: a tmpfs of so many bytes, which only this process (and what it starts) sees and
// which ends with it. Needs root or user namespaces. Made before there are other threads, which would not see
// it.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace mdgen::testing {

class SmallDisk {
 public:
  explicit SmallDisk(std::size_t bytes) {
    if (!own_mounts() || !mounted(bytes))
      why_not_ = std::string("no tmpfs can be mounted: ") + std::strerror(errno);
  }
  ~SmallDisk() {
    if (there()) ::umount2(path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool there() const { return why_not_.empty(); }
  const std::string& why_not() const { return why_not_; }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return path() / name; }

  // For good.
  bool make_read_only() const {
    return ::mount(nullptr, path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  bool mounted(std::size_t bytes) const {
    const std::string size = "size=" + std::to_string(bytes);
    return ::mount("tmpfs", path().c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  // Once a process: a name space of mounts; without root one of users around it.
  static bool own_mounts() {
    static const bool done = [] {
      const uid_t user = ::getuid();
      const gid_t group = ::getgid();
      if (::unshare(CLONE_NEWNS) != 0) {
        if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
        std::ofstream("/proc/self/setgroups") << "deny";
        std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
        std::ofstream("/proc/self/gid_map") << "0 " << group << " 1";
      }
      return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    }();
    return done;
  }

  TempDir folder_;
  std::string why_not_;
};

}  // namespace mdgen::testing
