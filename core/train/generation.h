// One rank's part in one generation: from equal states to the last agreed boundary, or to the group's end.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/comm/collective.h"
#include "core/model/model_config.h"
#include "core/train/fault_points.h"
#include "core/train/log_record.h"
#include "core/train/observer.h"
#include "core/train/outputs.h"
#include "core/train/resident.h"
#include "core/train/resume.h"
#include "core/train/step.h"
#include "core/train/step_clock.h"

namespace mdgen::train {

// recovery.hold_for_seconds.
std::chrono::milliseconds hold_time(const v1::JobSpec& spec);

// How a generation ended by the ranks' own agreement. With neither `completed` nor `yielded` they were told
// to end, or, with a problem, all steps are done and only the last checkpoint is missing.
struct GenerationEnd {
  bool completed = false;     // all steps are done, and the last checkpoint is verified
  bool yielded = false;       // stopped, to go on in another generation
  bool checkpointed = false;  // a verified checkpoint of the last step is there
  std::string problem;        // why the checkpoint that was asked for is not
};

// Not thread-safe; for one use. What leaves by an exception leaves `resident` whole or marked as not.
class Generation {
 public:
  struct Parts {
    Resident& resident;
    Outputs& outputs;
    FaultPoints& faults;
    RunObserver& observer;
    const RunControl& control;
    const Clock& clock;
  };
  // `assignment` with its manifest; `form_seconds` is for the report. All must outlive it.
  Generation(const v1::Assignment& assignment, comm::Collective& collective, double form_seconds,
             const Parts& parts);
  ~Generation();

  GenerationEnd execute();

 private:
  std::int64_t applied() const { return held_.applied(); }
  bool reports() const { return collective_.rank() == 0; }
  void phase(v1::TrainerPhase phase, bool entered_reduce = false) {
    observer_.phase(phase, applied(), entered_reduce);
  }

  void begin();
  void choose_precision();
  Start start();
  void load_checkpoint(Start& start);
  GenerationEnd train();
  std::filesystem::path profile_file() const;
  StepOutcome step(Stepper& stepper, StepFeed& feed);
  void measure(const StepWork& work, const StepClock& clock, v1::StepReport& report);
  void await_permission();
  void be_slow();
  void leave_if_abandoned() const;
  std::function<void()> interrupt() const;
  void boundary(const StepPlace& place);
  void finish_boundary();
  void commit();
  void settle();
  void validate_now(std::int64_t epoch);
  void write_checkpoint();
  GenerationEnd end(const StepOutcome* stopped);
  GenerationEnd yield(bool checkpoint);

  LogRecord record_of(const char* prefix, std::int64_t epoch, const BatchMeans& means) const;
  std::vector<LogRecord> due_records(const StepPlace& place);

  const v1::Assignment& assignment_;
  const v1::JobSpec& spec_;
  comm::Collective& collective_;
  double form_seconds_;
  Resident& held_;
  Outputs& outputs_;
  FaultPoints& faults_;
  RunObserver& observer_;
  const RunControl& control_;
  const Clock& clock_;
  bool overdue_ = false;  // a checkpoint that the generations before have not left behind
  const model::ModelConfig model_;
  RecentMean computed_;       // seconds of a step before the others are waited for
  double snapshot_wait_ = 0;  // seconds, since the last step
  bool uncommitted_ = false;  // the newest step of the log is not known to be applied on all ranks
};

}  // namespace mdgen::train
