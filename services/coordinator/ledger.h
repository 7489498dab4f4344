// The ledger: which steps were committed by which generation, with the sum of the hashes of the samples that
// the ranks really used. Steps count those applied, as in reports: a run's first step is 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/run.pb.h"

namespace mdgen::coordinator {

struct LedgerRecord {
  enum class Kind {
    kStart,     // the job begins at step `to` (above 0: it goes on from a checkpoint of an earlier job)
    kRange,     // steps first_step … last_step were committed
    kRollback,  // steps after `to` were lost; `from` was the last
    kSkipped,   // step first_step was not finite: its samples count, the weights did not move
  };
  Kind kind = Kind::kRange;
  std::int64_t sequence = 0;  // grows by one; a range that still grows keeps its own
  std::int64_t generation = 0;
  std::int64_t first_step = 0;
  std::int64_t last_step = 0;
  std::int32_t world_size = 0;
  std::string plan_digest;
  std::uint64_t hash_sum = 0;  // modulo 2^64
  std::int64_t samples = 0;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::string cause;  // kSkipped: NonFiniteLoss or NonFiniteGradient
  // kSkipped: the step's virtual samples with their entries' names, a JSON array such as [[17,"4ake_A"]].
  std::string skipped_samples;

  bool operator==(const LedgerRecord&) const = default;
};
std::string ledger_kind_name(LedgerRecord::Kind kind);

// Writes one job's ledger: collects records until they are stored. Not thread-safe.
class LedgerWriter {
 public:
  static constexpr std::int64_t kRangeSteps = 1000;  // a range is closed at this length

  // `last_step` and `next_sequence` as the store has them.
  LedgerWriter(bool begun, std::int64_t last_step, std::int64_t next_sequence);

  // A generation begins with `applied` steps done: writes a start or a rollback where one is due.
  void begin(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest,
             std::int64_t applied, const std::string& cause);
  // A committed step; a repetition of one that is known is ignored.
  void step(const v1::StepReport& report);
  // The range that grows is complete.
  void end_range() { range_.reset(); }
  // What is new or has grown since the last clear_pending().
  const std::vector<LedgerRecord>& pending() const { return pending_; }
  void clear_pending() {
    pending_.clear();
    unsaved_steps_ = 0;
  }
  std::int64_t unsaved_steps() const { return unsaved_steps_; }

  std::int64_t last_step() const { return last_step_; }
  std::int64_t lost_steps() const { return lost_steps_; }

 private:
  LedgerRecord& push(LedgerRecord::Kind kind);

  bool begun_;
  std::int64_t last_step_;
  std::int64_t next_sequence_;
  std::int64_t lost_steps_ = 0;
  std::int64_t unsaved_steps_ = 0;
  std::int64_t generation_ = 0;
  std::int32_t world_size_ = 0;
  std::string plan_digest_;
  std::optional<LedgerRecord> range_;  // grows
  std::vector<LedgerRecord> pending_;  // not yet stored
};

}  // namespace mdgen::coordinator
