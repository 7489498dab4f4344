// <run folder>/metrics.jsonl: one JSON object a line, for people and scripts.
//
//   {"step":12,"epoch":0,"loss":0.93,"grad_norm":1.7,"lr":0.0001,"seconds":0.41,"samples":4,"tokens":4096,
//    "tokens_per_second":9990.2,"data_seconds":0.01,"forward_seconds":0.1,"backward_seconds":0.2,
//    "reduce_seconds":0.05,"optimizer_seconds":0.03,"checkpoint_seconds":0,"flops":2e9}
//                                                    a step ("skipped":true when it was); docs/metrics.md
//   {"step":12,"epoch":0,"val_loss":0.95,"samples":8,"val_time":0.5,…}   a validation after step 12
//   {"step":12,"epoch":0,"train_loss":0.9,…}, {"step":12,"epoch":0,"iter_loss":0.9,…}   see log_record.h
//
// Doubles are printed so that reading them gives the same bits; what is not finite is null. The file shows
// the effective chain of steps: after a resume at step s its lines beyond s are dropped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/train/append_file.h"
#include "core/train/log_record.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Without the line's end.
std::string metrics_line(const v1::StepReport& report);
// A validation's own line, then the reference's names; "val_loss" is the report's, the mean over samples.
std::string metrics_line(const v1::ValidationReport& report, const LogRecord& record);

// The lines of `text` whose step is at most `step`, each whole and with its line's end. Lines that are not
// JSON objects with a step (a torn last one) are left out. `dropped` counts what is left out.
std::string keep_until(const std::string& text, std::int64_t step, std::int64_t& dropped);

// Where a line stands in the file: a step's own line, the means that are due after it, the validation.
enum class LineKind { kStep, kIter, kTrain, kValidation };
struct LinePlace {
  std::int64_t step = 0;
  LineKind kind = LineKind::kStep;
  auto operator<=>(const LinePlace&) const = default;
};
LinePlace place_of_record(const LogRecord& record);
// The last of the lines, each whole; nothing when there is none or it has no place.
std::optional<LinePlace> last_place(const std::string& text);

// Appends a line at a time, at once. Not thread-safe.
class MetricsLog {
 public:
  // Rewrites the file, atomically, to its lines up to `step` (nothing is written when all stay). A missing
  // file is begun.
  MetricsLog(std::filesystem::path file, std::int64_t step);

  std::int64_t dropped() const { return dropped_; }
  // Whether the file has come to this place: a rank 0 of an earlier generation has written the line then.
  bool has(const LinePlace& place) const { return last_ && place <= *last_; }
  // Of the first step that has no line yet.
  std::int64_t next_step() const { return last_ ? last_->step + 1 : 1; }
  // Throws Error(kUnavailable) when the line cannot be written.
  void append(const LinePlace& place, const std::string& line);

 private:
  std::int64_t dropped_ = 0;
  std::optional<LinePlace> last_;
  std::optional<AppendFile> file_;
};

}  // namespace mdgen::train
