// Measures checkpoints of a training state: how long a step waits for one, how long it takes until it is on
// the disk, and how long a new process needs to go on from it.
#pragma once

#include <cstdint>
#include <string>

#include "core/bench/checkpoint_options.h"
#include "core/bench/statistics.h"
#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::bench {

struct CheckpointResult {
  CheckpointOptions options;
  int threads = 0;
  std::int64_t tensors = 0;
  std::int64_t bytes = 0;       // of the tensors
  std::int64_t file_bytes = 0;  // of a checkpoint's files
  // Seconds.
  Spread plain_copy{};       // of as many bytes into a warm buffer, for comparison
  Spread fresh_copy{};       // into memory that is allocated for it
  Spread blocked{};          // of the training thread, by BackgroundWriter::write()
  double first_blocked = 0;  // of the first checkpoint of a run
  Spread durable{};          // files written and fsynced, folder renamed: what a crash cannot take away
  Spread persisted{};        // in the background, until every byte is read back and compared as well
  Spread verify{}, read{}, load{};  // the newest good one found; its files read; taken over by a new state
  Spread restore{};                 // all three; the files are in the page cache

  double write_rate() const { return static_cast<double>(file_bytes) / durable.median; }  // bytes a second
  double restore_rate() const { return static_cast<double>(file_bytes) / restore.median; }
};

// The state of `spec`'s model after a step. Throws Error: what the disk says, kDataLoss when a state that was
// restored differs from the one that was saved.
CheckpointResult measure_checkpoint(const CheckpointOptions& options, const v1::JobSpec& spec);

// A table, or one JSON object.
std::string table(const CheckpointResult& result);
std::string json(const CheckpointResult& result);

}  // namespace mdgen::bench
