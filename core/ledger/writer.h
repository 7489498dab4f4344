// Makes a ledger's records from what a run reports. No LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/ledger.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::ledger {

using Records = std::vector<v1::LedgerRecord>;

// "range", "rollback".
std::string kind_name(v1::LedgerKind kind);

// Sums over steps.
struct Sums {
  std::uint64_t hash_sum = 0;  // modulo 2^64
  std::int64_t samples = 0;

  bool operator==(const Sums&) const = default;
};

// Where a ledger ends.
struct Position {
  bool begun = false;
  std::int64_t last_step = 0;
  std::int64_t next_sequence = 0;
  // The newest generation that has a range: its first step, and the sums over all its ranges.
  std::int64_t generation = 0;
  std::int64_t first_step = 0;
  Sums sums;

  void take(const v1::LedgerRecord& record);
  bool operator==(const Position&) const = default;
};
// `records` by sequence, as they are stored.
Position position_of(const Records& records);

// Writes one ledger: collects records until they are stored. Not thread-safe.
class Writer {
 public:
  static constexpr std::int64_t kRangeSteps = 1000;  // a range is closed at this length

  explicit Writer(Position position = {}) : position_(position) {}

  // A generation begins with `applied` steps done: writes a start or a rollback where one is due and returns
  // the number of steps lost. Steps up to `applied` that were never reported (whoever had to is dead) are
  // taken from `known`, the ledger of the checkpoint that the generation begins with. A ledger that is still
  // empty takes over all of it, so that it leads from the first step to the weights, whichever jobs did them.
  std::int64_t begin(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest,
                     std::int64_t applied, const std::string& cause, const Records& known = {});
  // A generation that had begun before goes on.
  void go_on(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest);
  // Committed steps; what is known already is ignored. Steps that were put together with some that are known
  // cannot be told apart: they are written as they are, and verification will call them a repeat.
  void step(const v1::StepReport& report);
  // The range that grows is complete.
  void end_range() { range_.reset(); }

  // What is new or has grown since the last clear_pending().
  const Records& pending() const { return pending_; }
  void clear_pending();
  std::int64_t unsaved_steps() const { return unsaved_steps_; }
  std::int64_t last_step() const { return position_.last_step; }
  std::int64_t next_sequence() const { return position_.next_sequence; }

 private:
  v1::LedgerRecord& push(v1::LedgerKind kind);
  void copy(const v1::LedgerRecord& record);
  void fill_from(const Records& known);
  void grow_range(std::int64_t first_step, const v1::StepReport& report);

  Position position_;
  std::int64_t unsaved_steps_ = 0;
  std::int64_t generation_ = 0;
  std::int32_t world_size_ = 0;
  std::string plan_digest_;
  std::optional<v1::LedgerRecord> range_;  // grows
  Records pending_;                        // not yet stored
};

// A ledger that is kept in memory, for a checkpoint's state.json: what it holds leads to the checkpoint's
// step, so nothing in it was lost. Not thread-safe.
class Chain {
 public:
  Chain() = default;
  // Goes on from a checkpoint's; `records` that do not end at `applied` are dropped.
  Chain(Records records, std::int64_t applied);

  void begin(std::int64_t generation, std::int32_t world_size, const std::string& plan_digest,
             std::int64_t applied, const std::string& checkpoint);
  void step(const v1::StepReport& report) { writer_.step(report); }
  const Records& records();

 private:
  Records records_;
  Writer writer_;
};

}  // namespace mdgen::ledger
