// What the adapters (gRPC, HTTP) share beside the coordinator: who comes in, how much clients may ask for, and
// the threads that read run folders, which may lie on a slow file system.
#pragma once

#include <memory>
#include <utility>

#include "services/access/audit_log.h"
#include "services/access/gate.h"
#include "services/coordinator/coordinator.h"
#include "services/coordinator/limits.h"
#include "services/coordinator/run_metrics.h"
#include "services/coordinator/sample_pictures.h"
#include "services/coordinator/work_pool.h"

namespace mdgen::coordinator {

struct Frontend {
  Frontend(Coordinator& engine, const Limits& bounds, const Clock& clock,
           std::shared_ptr<access::Gate> control = nullptr, std::shared_ptr<access::AuditLog> log = nullptr)
      : coordinator(engine),
        gate(std::move(control)),
        audit(std::move(log)),
        limits(bounds),
        changes(bounds.changes_per_second, bounds.changes_at_once, clock),
        streams(bounds.streams_per_client, bounds.streams) {}

  Coordinator& coordinator;
  const std::shared_ptr<access::Gate> gate;       // null: no access control
  const std::shared_ptr<access::AuditLog> audit;  // null: changes are not noted
  const Limits limits;
  RunMetrics metrics;
  SamplePictures pictures;
  RateLimit changes;
  StreamSlots streams;
  WorkPool files{4, 256};
};

}  // namespace mdgen::coordinator
