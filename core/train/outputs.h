// What rank 0 writes into the run folder: records and checkpoints.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/checkpoint/background_writer.h"
#include "core/train/log_record.h"
#include "core/train/observer.h"
#include "core/train/recorder.h"
#include "core/train/resume.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Trouble with the run folder has a reason of its own, so that it is not mistaken for a lost peer's: every
// function throws RunFailure(MetricsFailed or CheckpointFailed) with the system's text. Not thread-safe.
class Outputs {
 public:
  // Opens the files at where the run starts and reports the start to the observer. All but `start` must
  // outlive it; of the state only its size is read, at once. A validation alone keeps all lines of
  // metrics.jsonl and writes no checkpoint.
  Outputs(const v1::Assignment& assignment, const Start& start, std::int64_t total_steps, RunState& state,
          RunObserver& observer, const Clock& clock);
  ~Outputs();

  void committed(const v1::StepReport& report, const std::vector<LogRecord>& records);
  void validated(const v1::ValidationReport& report, const LogRecord& record);
  // Copies it; the writer works in the background. Should that fail, the observer is told and training goes
  // on.
  void checkpoint(const checkpoint::TrainState& live);
  // Waits until the last checkpoint is verified. Throws when it failed.
  void flush();
  // The same for the last one of the run: tries again for `patience`, since nothing else holds these weights.
  void finish(std::chrono::seconds patience);

 private:
  void report_start(const Start& start, RunState& state);
  void open_writer(const RunState& state);

  const v1::Assignment& assignment_;
  RunObserver& observer_;
  const Clock& clock_;
  std::optional<v1::ValidationReport> validation_;  // the last
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<checkpoint::BackgroundWriter> writer_;
};

}  // namespace mdgen::train
