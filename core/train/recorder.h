// What rank 0 tells about a run: metrics.jsonl, log.out, TensorBoard events, the observer, a log line now and
// then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/format/tensorboard.h"
#include "core/train/log_file.h"
#include "core/train/log_record.h"
#include "core/train/metrics_log.h"
#include "core/train/observer.h"
#include "core/train/schedule.h"
#include "core/train/step_log.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Not thread-safe. Only rank 0 makes one.
class Recorder {
 public:
  // `step`: where the run goes on; lines of metrics.jsonl beyond it are dropped. A line that is there already
  // is not written again.
  Recorder(const v1::Assignment& assignment, std::int64_t step, std::int64_t total_steps,
           RunObserver& observer, const Clock& clock);

  std::int64_t dropped_lines() const { return metrics_.dropped(); }
  // Lines and events of steps and validations that the files lack (whoever had to write them is dead). The
  // observer hears of those validations; the steps are in the ledger that the start reported.
  void catch_up(const StepLog& log);
  void committed(const v1::StepReport& report);
  void logged(const LogRecord& record);  // iter or train
  void validated(const v1::ValidationReport& report, const LogRecord& record);

 private:
  void write(const v1::StepReport& report);
  void add_events(std::int64_t step, const NamedMeans& scalars);
  void print(const v1::StepReport& report) const;

  const v1::JobSpec& spec_;
  bool ordered_;  // a validation alone adds its line to those of the run that is there
  std::int64_t total_steps_;
  RunObserver& observer_;
  const Clock& clock_;
  MetricsLog metrics_;
  LogFile log_;
  std::unique_ptr<format::EventWriter> events_;
  RateMeter rate_;
};

}  // namespace mdgen::train
