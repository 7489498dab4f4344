// What rank 0 writes into the run folder: records and checkpoints.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/clock.h"
#include "core/checkpoint/background_writer.h"
#include "core/train/log_record.h"
#include "core/train/observer.h"
#include "core/train/recorder.h"
#include "core/train/resume.h"
#include "core/train/step_log.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Trouble with the run folder has a reason of its own, so that it is not mistaken for a lost peer's: every
// function throws RunFailure(MetricsFailed or CheckpointFailed) with the system's text. It lives as long as
// its process: a checkpoint that is being written goes on through a change of generations. Not thread-safe.
//
// What waits for the writer takes an interrupt, which is asked again and again meanwhile; the CollectiveError
// that it may throw ends the wait, not the writing.
class Outputs {
 public:
  using Interrupt = checkpoint::BackgroundWriter::Interrupt;

  // `spec` is of the run, `run_folder` its folder; all must outlive it.
  Outputs(const v1::JobSpec& spec, std::filesystem::path run_folder, RunObserver& observer,
          const Clock& clock);
  ~Outputs();

  // Rank 0 of a generation: opens the files at where it starts, reports the start to the observer and writes
  // what an earlier rank 0 had not. `assignment` must outlive leave(); of the state only its size is read, at
  // once. A validation alone keeps all lines of metrics.jsonl and writes no checkpoint.
  void begin(const v1::Assignment& assignment, const Start& start, std::int64_t total_steps, RunState& state,
             const StepLog& log);
  // Every rank, at the end of each generation: closes the files of records.
  void leave();
  // A checkpoint of what is held between two generations, verified when it returns.
  void save(std::int64_t generation, const checkpoint::TrainState& live);
  // Waits for a checkpoint that is being written, however it ends.
  void await_writer(const Interrupt& interrupt);
  // Whether no checkpoint of `step` or a later one is complete in the run folder, and this process is writing
  // none: whoever was to write it is gone, or failed.
  bool lacks(std::int64_t step) const;
  bool is_open() const { return recorder_ != nullptr; }

  void committed(const v1::StepReport& report, const std::vector<LogRecord>& records);
  void validated(const v1::ValidationReport& report, const LogRecord& record);
  // Copies it; the writer works in the background. Should that fail, the observer is told and training goes
  // on.
  void checkpoint(const checkpoint::TrainState& live, const Interrupt& interrupt = {});
  // Waits until the last checkpoint is verified. Throws when it failed.
  void flush(const Interrupt& interrupt = {});
  // The same for the last one of the run: tries again for `patience`, since nothing else holds these weights.
  void finish(std::chrono::duration<double> patience, const Interrupt& interrupt = {});

 private:
  void pause(std::chrono::seconds length, const Interrupt& interrupt) const;
  // Only a generation's rank 0 deletes checkpoints.
  // Whether it was not there yet; one that is goes on with what it writes.
  bool open_writer(std::int64_t generation, bool deletes);
  void report_start(const Start& start, RunState& state);
  // Into the run folder's spec.yaml, where the resolved spec lies. Nothing for "".
  void name_precision(const std::string& precision) const;

  const v1::JobSpec& spec_;
  std::filesystem::path run_folder_;
  RunObserver& observer_;
  const Clock& clock_;
  std::int64_t generation_ = 0;                     // the last that begin() or save() named
  std::optional<v1::ValidationReport> validation_;  // the last
  double gemm_ceiling_ = 0;                         // 0: not measured
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<checkpoint::BackgroundWriter> writer_;
};

}  // namespace mdgen::train
