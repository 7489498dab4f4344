// What rank 0 tells about a run: metrics.jsonl, TensorBoard events, the observer, a log line now and then.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>

#include "core/base/clock.h"
#include "core/format/tensorboard.h"
#include "core/train/metrics_log.h"
#include "core/train/observer.h"
#include "core/train/schedule.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::train {

// Not thread-safe. Only rank 0 makes one.
class Recorder {
 public:
  // `step`: where the run goes on; lines of metrics.jsonl beyond it are dropped.
  Recorder(const v1::Assignment& assignment, std::int64_t step, std::int64_t total_steps,
           RunObserver& observer, const Clock& clock);

  std::int64_t dropped_lines() const { return metrics_.dropped(); }
  void committed(const v1::StepReport& report);
  void validated(const v1::ValidationReport& report);

 private:
  using Scalar = std::pair<const char*, double>;
  void add_events(std::int64_t step, std::initializer_list<Scalar> scalars);
  void print(const v1::StepReport& report) const;

  const v1::JobSpec& spec_;
  std::int64_t total_steps_;
  RunObserver& observer_;
  const Clock& clock_;
  MetricsLog metrics_;
  std::unique_ptr<format::EventWriter> events_;
  RateMeter rate_;
};

}  // namespace mdgen::train
