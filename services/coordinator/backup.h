// The coordinator's store as one file, and back. A backup is a zip archive (members stored, not compressed)
// of `manifest.json` (sizes and SHA-256 of the others), `coordinator.db` (SQLite) and, on request, the files
// that open the coordinator to clients and workers.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace mdgen::coordinator {

struct BackupFacts {
  std::int64_t epoch = 0;
  std::int64_t jobs = 0;
  std::int64_t unfinished = 0;  // of them
  std::int64_t bytes = 0;       // of the file
  bool secrets = false;
};

// Writes `file` (mode 0600), whole or not at all, from a copy that the running coordinator of `state_dir`
// makes, or from the store itself when none runs. Everything in the copy is compared with its digests first.
// Throws Error: kNotFound without a store, kAlreadyExists when the file is there, kDataLoss when the store is
// damaged.
BackupFacts back_up(const std::filesystem::path& state_dir, const std::filesystem::path& file,
                    bool with_secrets, std::chrono::system_clock::time_point now);

// Makes the state folder of `file`, whose digests are compared first; nothing is left behind when it fails.
// What it changes: restored.h. Throws Error: kFailedPrecondition when the folder has anything in it,
// kDataLoss when the backup is damaged, kNotFound without it.
BackupFacts restore(const std::filesystem::path& file, const std::filesystem::path& state_dir,
                    std::chrono::system_clock::time_point now);

}  // namespace mdgen::coordinator
