// Who changed what, and who was not let: one line of JSON a change in a file that only grows.
//
//   {"time":"2026-11-23T22:10:05.123Z","caller":"alice","role":"submitter","peer":"ipv4:10.0.0.3:51412",
//    "method":"CancelJob","job":"a1b2c3","code":"OK","request":"grace 60 s","message":""}
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "services/access/caller.h"

namespace mdgen::access {

struct AuditRecord {
  Caller caller;
  std::string method{};   // the RPC's name, whatever the transport
  std::string job{};      // id, where there is one
  std::string code{};     // OK, or the error's: PermissionDenied, …
  std::string request{};  // in short, without secrets
  std::string message{};  // of the error
};

// The file may be renamed at any time (log rotation): the next line goes to a new one under the old name.
// Thread-safe.
class AuditLog {
 public:
  // Throws Error(kUnavailable), which names the file, when it cannot be written.
  AuditLog(std::filesystem::path file, const Clock& clock);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Before a change: makes sure that its line can be written, with space on the disk set aside where the file
  // system can do that. Throws Error(kUnavailable); then the change must not be made.
  void prepare();
  // On the disk when it returns. What cannot be written goes to the program's own log.
  void write(const AuditRecord& record) noexcept;

 private:
  void open_file();
  void close_file();
  bool is_moved() const;
  void reserve();

  const std::filesystem::path file_;
  const Clock& clock_;
  std::mutex mutex_;
  int fd_ = -1;
  std::int64_t reserved_end_ = 0;
};

}  // namespace mdgen::access
