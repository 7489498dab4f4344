// What was logged of the last steps. Every rank keeps it, so that a new rank 0 can write what the one before
// it could not.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/train/log_record.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

struct LoggedValidation {
  v1::ValidationReport report;
  LogRecord record;
};

// In the order in which it is written: the step, its records, the validation after it.
struct LoggedStep {
  v1::StepReport report;
  std::vector<LogRecord> records;
  std::optional<LoggedValidation> validation;
};

// The newest steps without a gap. A value type.
class StepLog {
 public:
  static constexpr std::size_t kSteps = 16;

  void add(v1::StepReport report, std::vector<LogRecord> records);
  // After the newest step; ignored when there is none.
  void add(LoggedValidation validation);
  const std::deque<LoggedStep>& steps() const { return steps_; }
  void clear() { steps_.clear(); }

  // CBOR, every number with its bits. from_bytes throws Error(kDataLoss).
  std::string to_bytes() const;
  static StepLog from_bytes(const std::string& bytes);
  // As a member of a loop state's JSON text, for a checkpoint of a step whose lines may not be written yet.
  // from_json gives an empty log when there is none.
  std::string added_to_json(const std::string& text) const;
  static StepLog from_json(const std::string& text);

 private:
  std::deque<LoggedStep> steps_;
};

}  // namespace mdgen::train
