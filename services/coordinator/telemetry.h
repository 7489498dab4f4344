// What the engine tells, as it happens, of runs: for counters that a job's state does not hold.
#pragma once

#include <string>

#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::coordinator {

// Called with the coordinator's mutex held, on any of its threads: must neither block long nor throw.
class Telemetry {
 public:
  virtual ~Telemetry() = default;
  virtual void submitted() {}
  virtual void ended(const v1::Job& /*job*/) {}
  // After it was written into the job.
  virtual void step(const v1::Job& /*job*/, const v1::StepReport& /*report*/) {}
  virtual void checkpoint(const v1::Job& /*job*/, const v1::CheckpointReport& /*report*/) {}
  // A generation begins in place of one that a failure ended.
  virtual void restarted(const v1::Job& /*job*/, const std::string& /*reason*/) {}
  // The first step of the next generation is done; `detect_seconds` lay between the fault and its detection.
  virtual void recovered(const v1::Job& /*job*/, const v1::Recovery& /*recovery*/,
                         double /*detect_seconds*/) {}
};

}  // namespace mdgen::coordinator
