#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "services/access/access.h"
#include "services/access/tokens.h"

namespace mdgen::access {
namespace {

// Two `token add` at a time: the second waits. The folder is locked, for the file itself is replaced.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder)
      : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ < 0 || ::flock(fd_, LOCK_EX) != 0)
      throw Error(ErrorCode::kUnavailable, "cannot lock " + folder.string() + ": " + std::strerror(errno));
  }
  ~FolderLock() { ::close(fd_); }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

}  // namespace

TokenTable read_tokens(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  struct stat facts {};
  if (::stat(file.c_str(), &facts) == 0 && (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        file.string() + ": others than its owner may write it, and make themselves admin; chmod go-w it");
  }
  return TokenTable::from_yaml(text, file.string());
}

void change_tokens(const std::filesystem::path& file, const std::function<void(TokenTable&)>& change) {
  const FolderLock lock(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
  TokenTable table;
  if (std::filesystem::exists(file)) table = read_tokens(file);
  change(table);
  write_secret(file, table.to_yaml());
}

}  // namespace mdgen::access
