#include "services/coordinator/job_record.h"

namespace mdgen::coordinator {

Want JobRecord::want() const {
  Want want{.job_id = id()};
  want.priority = job.spec().priority();
  want.queued = state() == v1::JOB_STATE_QUEUED;
  want.refused = refused;
  want.selector = selector;
  if (wants_examiner()) return want;
  const int most = most_workers();
  const int min = job.spec().workers().min();
  const bool recovers = state() == v1::JOB_STATE_RECOVERING && has_open_generation();
  want.held = recovers ? std::min(generation->usable(), most) : 0;
  want.min = std::max(0, min - want.held);
  want.max = std::max(0, most - want.held);
  if (!recovers) return want;
  want.former = static_cast<int>(generation->members.size());
  for (const Member& member : generation->members)
    if (!member.usable()) want.prefer.push_back(member.worker_id);
  return want;
}

}  // namespace mdgen::coordinator
