// Whether the store's rows are what was written. SQLite looks at its own structure only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "services/coordinator/job_record.h"
#include "services/coordinator/sqlite.h"

namespace mdgen::coordinator {

// A digest beside each row that matters, in the table `digests`. Not thread-safe.
class StoreCheck {
 public:
  StoreCheck(Database& database, std::filesystem::path file) : database_(database), file_(std::move(file)) {}

  // Before anything is read or written: Throws Error(kDataLoss) when a page is torn or a table is missing.
  void structure();

  void keep(const std::string& what, const std::string& bytes);
  // Throws Error(kDataLoss) naming `what` when the bytes are others than were kept; a row without a digest is
  // an older version's.
  void compare(const std::string& what, const std::string& bytes);
  // ... when one was kept: then what it was kept of is gone.
  void require_unknown(const std::string& what);
  // What is to be deleted.
  void forget(const std::string& what);
  void forget_job(const std::string& job_id);
  // After the rows have changed their form.
  void forget_all() { database_.run("DELETE FROM digests"); }

  [[noreturn]] void damaged(const std::string& reason) const;

 private:
  Database& database_;
  std::filesystem::path file_;
};

// Rows as bytes. `job` is the serialized record.job.
std::string row_bytes(const JobRecord& record, const std::string& job);
std::string row_bytes(const Generation& generation);
std::string job_name(const std::string& job_id);
std::string manifest_name(const std::string& job_id);
std::string generation_name(const std::string& job_id, std::int64_t number);
std::string event_name(const std::string& job_id, std::int64_t sequence);
std::string ledger_name(const std::string& job_id, std::int64_t sequence);

}  // namespace mdgen::coordinator
