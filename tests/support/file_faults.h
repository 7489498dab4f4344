// Faults at the calls that a program makes to the file system. A test that links this has its own open, read,
// write, fsync, close, rename, mkdir, unlink, … in front of the C library's, for all libraries in the process
// (libstdc++, SQLite): they count the calls below a folder, and do harm at one of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mdgen::testing {

struct FileFault {
  enum class Kind {
    kNone,
    kKillBefore,   // the process dies (SIGKILL), the call is not made
    kKillHalfway,  // a write has written half of its bytes; others: not made
    kKillAfter,
    kError,       // fails with `error` and does nothing (a close does close)
    kErrorAfter,  // is done and says that it failed
    kShort,       // a read or write does half, and says so; others: done
  };
  int at = -1;  // of the calls below the folder, from 0
  Kind kind = Kind::kNone;
  int error = 0;
  bool from_then_on = false;  // every later call of those that need space fails too (write, open, mkdir)
};

// Counts, and does harm, as long as it lives; one at a time. Calls of all threads count.
class FileFaults {
 public:
  explicit FileFaults(const std::filesystem::path& below, FileFault fault = {});
  ~FileFaults();
  FileFaults(const FileFaults&) = delete;
  FileFaults& operator=(const FileFaults&) = delete;

  int calls() const;
  // "write /dev/shm/…/model.safetensors"; of each call, in order.
  std::vector<std::string> log() const;
};

}  // namespace mdgen::testing
