// The coordinator's memory on disk: one SQLite file, exclusively locked, durable at each commit.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "services/coordinator/engine.h"
#include "services/coordinator/sqlite.h"
#include "services/coordinator/store_check.h"

namespace mdgen::coordinator {

// Throws Error(kFailedPrecondition) when `folder` lies on a file system whose locks cannot be trusted (NFS,
// Lustre, FUSE).
// NFS, Lustre or FUSE by the number that statfs gives; null for others.
const char* untrusted_file_system(long magic);
void check_state_folder(const std::filesystem::path& folder);

// Not thread-safe.
class Store : public JobStore {
 public:
  // Opens state_dir/coordinator.db, creating both as needed, and raises the epoch. Throws
  // Error(kFailedPrecondition) when another coordinator has it open, a newer version wrote it or it cannot be
  // written, Error(kDataLoss) when it is damaged.
  explicit Store(const std::filesystem::path& state_dir);

  std::int64_t epoch() const { return epoch_; }  // counts the starts
  std::vector<JobRecord> load() override;
  void save(const std::vector<const JobRecord*>& records) override;
  ledger::Records ledger(const std::string& job_id, std::int64_t first_sequence, int limit) override;
  v1::JobManifest manifest(const std::string& job_id) override;
  std::vector<v1::JobEvent> events(const std::string& job_id, std::int64_t after_sequence,
                                   int limit) override;
  void forget(const std::vector<std::string>& job_ids) override;

 private:
  void save_job(const JobRecord& record);
  void save_generation(const JobRecord& record);
  void save_ledger(const JobRecord& record);
  void save_events(const JobRecord& record);
  void load_generation(JobRecord& record);

  std::filesystem::path file_;
  Database database_;
  StoreCheck check_;
  std::int64_t epoch_ = 0;
};

}  // namespace mdgen::coordinator
