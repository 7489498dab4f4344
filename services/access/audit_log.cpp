#include "services/access/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/base/utc.h"

namespace mdgen::access {
namespace {

constexpr std::int64_t kSetAside = 64 << 10;
constexpr std::size_t kLongestText = 4096;  // of request and message

std::string line_of(const AuditRecord& record, Clock::Wall now) {
  const nlohmann::ordered_json json = {
      {"time", utc_text_with_milliseconds(now)},
      {"caller", to_utf8(record.caller.name)},
      {"role", role_name(record.caller.role)},
      {"peer", to_utf8(record.caller.peer)},
      {"method", record.method},
      {"job", to_utf8(record.job.substr(0, kLongestText))},
      {"code", record.code},
      {"request", to_utf8(record.request.substr(0, kLongestText))},
      {"message", to_utf8(record.message.substr(0, kLongestText))},
  };
  return json.dump() + "\n";
}

bool is_same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

AuditLog::AuditLog(std::filesystem::path file, const Clock& clock) : file_(std::move(file)), clock_(clock) {
  prepare();
}

AuditLog::~AuditLog() { close_file(); }

void AuditLog::prepare() {
  const std::lock_guard lock(mutex_);
  if (fd_ >= 0 && is_moved()) close_file();
  if (fd_ < 0) open_file();
  reserve();
}

void AuditLog::open_file() {
  fd_ = ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  reserved_end_ = 0;
  if (fd_ < 0) {
    throw Error(ErrorCode::kUnavailable, "the audit log " + file_.string() + " cannot be written (" +
                                             std::strerror(errno) + "), so nothing may be changed");
  }
}

void AuditLog::close_file() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool AuditLog::is_moved() const {
  struct stat named {
  }, held{};
  return ::stat(file_.c_str(), &named) != 0 || ::fstat(fd_, &held) != 0 || !is_same_file(named, held);
}

void AuditLog::reserve() {
  struct stat held {};
  if (::fstat(fd_, &held) != 0 || held.st_size + kSetAside / 4 <= reserved_end_) return;
  if (::fallocate(fd_, FALLOC_FL_KEEP_SIZE, held.st_size, kSetAside) == 0) {
    reserved_end_ = held.st_size + kSetAside;
  } else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO) {
    throw Error(ErrorCode::kUnavailable, "the audit log " + file_.string() + " cannot grow (" +
                                             std::strerror(errno) + "), so nothing may be changed");
  }
}

void AuditLog::write(const AuditRecord& record) noexcept {
  try {
    const std::string line = line_of(record, clock_.wall());
    const std::lock_guard lock(mutex_);
    if (fd_ >= 0 && is_moved()) close_file();
    if (fd_ < 0) open_file();
    if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::fdatasync(fd_) != 0) {
      spdlog::error("the audit log {} was not written ({}): {}", file_.string(), std::strerror(errno), line);
      close_file();
    }
  } catch (const std::exception& error) {
    spdlog::error("no line of audit for {} of job {} by {}: {}", record.method, record.job,
                  record.caller.name, error.what());
  }
}

}  // namespace mdgen::access
