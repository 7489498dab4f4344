// SQLite with values, errors as exceptions, and handles that close themselves. Not thread-safe.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace mdgen::coordinator {

class Statement;
class DatabaseCopy;

// What to do about a database that cannot be trusted.
std::string damage_text(const std::filesystem::path& file, const std::string& reason);

// Everything here throws Error with the file's name and SQLite's reason: kDataLoss when the file is damaged,
// kFailedPrecondition when it is in use or cannot be written at all, kUnavailable for what may pass (a full
// disk). A change that failed has not happened.
class Database {
 public:
  explicit Database(const std::filesystem::path& file);

  void run(const std::string& sql);
  Statement prepare(std::string_view sql);
  std::int64_t number(const std::string& sql);  // the first column of the first row; 0 without one

 private:
  friend class Statement;
  friend class DatabaseCopy;
  [[noreturn]] void fail(const std::string& what) const;

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> handle_;
};

// Bind in order, then step(); columns are read in order too.
class Statement {
 public:
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view value);
  Statement& bind_blob(std::string_view value);
  bool step();     // a row is there
  void execute();  // to its end, then ready for the next values

  std::int64_t number();
  std::string text();  // and blobs

 private:
  friend class Database;
  Statement(const Database& database, std::string_view sql);

  const Database* database_;
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> handle_;
  int bound_ = 0;
  int column_ = 0;
};

// A copy of a database in use, made piece by piece: between two pieces the source may be read and written
// through its own handle, and the copy follows. One file when it is done, mode 0600. Not thread-safe together
// with `source`, which must outlive it. Throws Error likewise.
class DatabaseCopy {
 public:
  // `file` must not exist.
  DatabaseCopy(Database& source, const std::filesystem::path& file);
  ~DatabaseCopy();
  DatabaseCopy(const DatabaseCopy&) = delete;
  DatabaseCopy& operator=(const DatabaseCopy&) = delete;

  // Copies at most so many pages (-1: all). True: the copy is complete, on disk and closed.
  bool step(int pages);

 private:
  std::unique_ptr<Database> target_;
  sqlite3_backup* backup_ = nullptr;
};

// BEGIN IMMEDIATE … COMMIT; rolls back when it is destroyed before commit().
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool done_ = false;
};

}  // namespace mdgen::coordinator
