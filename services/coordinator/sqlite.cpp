#include "services/coordinator/sqlite.h"

#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "services/access/access.h"

namespace mdgen::coordinator {
namespace {

std::string system_text(int reason) {
  return reason == 0 ? std::string() : std::string(" (") + std::strerror(reason) + ")";
}

}  // namespace

std::string damage_text(const std::filesystem::path& file, const std::string& reason) {
  return file.string() + " is damaged (" + reason +
         ") and is not used. Put a backup in its place, or move it and its -wal away: a job that is "
         "submitted with resume: require then goes on from its run folder, ledger included";
}

Database::Database(const std::filesystem::path& file) : file_(file), handle_(nullptr, &sqlite3_close_v2) {
  sqlite3* handle = nullptr;
  const int status = sqlite3_open_v2(
      file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  handle_.reset(handle);
  if (status != SQLITE_OK) fail("open");
  if (sqlite3_db_readonly(handle, "main") != 0)  // SQLite would read on
    throw Error(ErrorCode::kFailedPrecondition,
                file_.string() + " cannot be written: state_dir must be a folder that can be written");
}

void Database::fail(const std::string& what) const {
  const char* reason = handle_ ? sqlite3_errmsg(handle_.get()) : "out of memory";
  const int status = handle_ ? sqlite3_extended_errcode(handle_.get()) : SQLITE_NOMEM;
  const int system = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  const std::string folder = file_.parent_path().string();
  switch (status & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(ErrorCode::kFailedPrecondition, file_.string() + " is in use by another coordinator");
    case SQLITE_ERROR:  // the programs' own statements are right: then the schema is not
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw Error(ErrorCode::kDataLoss, damage_text(file_, reason));
    case SQLITE_FULL:
      throw Error(ErrorCode::kUnavailable,
                  file_.string() + ": the disk or its quota is full: make room in " + folder);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      throw Error(ErrorCode::kFailedPrecondition, file_.string() + ": " + reason + system_text(system) +
                                                      ": state_dir must be a folder that can be written");
    case SQLITE_IOERR:
      throw Error(ErrorCode::kUnavailable,
                  file_.string() + ": " + what + ": " + reason + system_text(system));
    default:
      throw Error(ErrorCode::kUnavailable, file_.string() + ": " + what + ": " + reason);
  }
}

void Database::run(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(sql.substr(0, 60));
}

Statement Database::prepare(std::string_view sql) { return Statement(*this, sql); }

std::int64_t Database::number(const std::string& sql) {
  Statement statement = prepare(sql);
  return statement.step() ? statement.number() : 0;
}

Statement::Statement(const Database& database, std::string_view sql)
    : database_(&database), handle_(nullptr, &sqlite3_finalize) {
  sqlite3_stmt* handle = nullptr;
  if (sqlite3_prepare_v2(database.handle_.get(), sql.data(), static_cast<int>(sql.size()), &handle,
                         nullptr) != SQLITE_OK)
    database.fail(std::string(sql.substr(0, 60)));
  handle_.reset(handle);
}

Statement& Statement::bind(std::int64_t value) {
  if (sqlite3_bind_int64(handle_.get(), ++bound_, value) != SQLITE_OK) database_->fail("bind");
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  if (sqlite3_bind_text64(handle_.get(), ++bound_, value.data(), value.size(), SQLITE_TRANSIENT,
                          SQLITE_UTF8) != SQLITE_OK)
    database_->fail("bind");
  return *this;
}

Statement& Statement::bind_blob(std::string_view value) {
  if (sqlite3_bind_blob64(handle_.get(), ++bound_, value.data(), value.size(), SQLITE_TRANSIENT) != SQLITE_OK)
    database_->fail("bind");
  return *this;
}

bool Statement::step() {
  column_ = 0;
  const int status = sqlite3_step(handle_.get());
  if (status != SQLITE_ROW && status != SQLITE_DONE) database_->fail("step");
  return status == SQLITE_ROW;
}

void Statement::execute() {
  while (step()) {
  }
  sqlite3_reset(handle_.get());
  bound_ = 0;
}

std::int64_t Statement::number() { return sqlite3_column_int64(handle_.get(), column_++); }

std::string Statement::text() {
  const int column = column_++;
  const void* bytes = sqlite3_column_blob(handle_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

DatabaseCopy::DatabaseCopy(Database& source, const std::filesystem::path& file) {
  access::write_secret(file, "");
  target_ = std::make_unique<Database>(file);
  backup_ = sqlite3_backup_init(target_->handle_.get(), "main", source.handle_.get(), "main");
  if (backup_ == nullptr) target_->fail("copy");
}

DatabaseCopy::~DatabaseCopy() {
  if (backup_ != nullptr) sqlite3_backup_finish(backup_);
}

bool DatabaseCopy::step(int pages) {
  const int status = sqlite3_backup_step(backup_, pages);
  if (status == SQLITE_OK) return false;
  const int ended = sqlite3_backup_finish(std::exchange(backup_, nullptr));
  if (status != SQLITE_DONE || ended != SQLITE_OK) target_->fail("copy");
  target_->run("PRAGMA journal_mode=DELETE");
  target_.reset();
  return true;
}

Transaction::Transaction(Database& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (done_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const Error&) {
    // The failure that brought us here has rolled back already.
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  done_ = true;
}

}  // namespace mdgen::coordinator
