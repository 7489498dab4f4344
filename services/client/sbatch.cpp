#include "services/client/sbatch.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::client {
namespace {

// A file without a name.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& text = "") : fd_(::memfd_create("sbatch", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::lseek(fd_, 0, SEEK_SET) != 0)
      throw Error(ErrorCode::kUnavailable, std::string("memfd_create: ") + std::strerror(errno));
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const { return fd_; }
  std::string text() const {
    std::string result;
    std::array<char, 4096> chunk;
    for (off_t at = 0;;) {
      const ssize_t count = ::pread(fd_, chunk.data(), chunk.size(), at);
      if (count <= 0) return std::string(trim(result));
      result.append(chunk.data(), static_cast<std::size_t>(count));
      at += count;
    }
  }

 private:
  int fd_;
};

}  // namespace

std::string submit_to_sbatch(const std::string& script) {
  const MemoryFile in(script), out, err;
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, in.fd(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, out.fd(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, err.fd(), STDERR_FILENO);
  std::string program = "sbatch", option = "--parsable";
  const std::array<char*, 3> words = {program.data(), option.data(), nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, "sbatch", &files, nullptr, words.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    throw Error(ErrorCode::kNotFound, std::string("cannot run sbatch: ") + std::strerror(error) +
                                          "; is this a node that submits jobs?");
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) throw Error(ErrorCode::kFailedPrecondition, "sbatch refused the job: " + err.text());
  return split(out.text(), ';').front();  // NUMBER or NUMBER;CLUSTER
}

}  // namespace mdgen::client
