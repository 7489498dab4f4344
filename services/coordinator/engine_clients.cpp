// Engine: what clients ask of jobs that are there.
#include <algorithm>

#include "core/base/error.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

constexpr int kMostWorkers = 4096;

[[noreturn]] void refuse(const JobRecord& record, const std::string& why) {
  throw Error(ErrorCode::kFailedPrecondition,
              "job " + record.id() + " is " + state_name(record.state()) + ": " + why);
}

// Counted in batches of each of workers.max workers: with another number they would be other steps.
std::string counted_in_workers(const v1::JobSpec& spec) {
  if (spec.loop().has_train_batches()) return "loop.train_batches";
  if (spec.loop().has_val_freq()) return "loop.val_freq";
  if (spec.loop().has_val_batches()) return "loop.val_batches";
  return "";
}

v1::WorkerRange checked_range(const JobRecord& record, const v1::WorkerRange& wanted) {
  v1::WorkerRange range = record.job.spec().workers();
  range.MergeFrom(wanted);
  const auto text = [&] {
    return "workers.min = " + std::to_string(range.min()) + ", workers.max = " + std::to_string(range.max());
  };
  if (range.min() < 1 || range.max() < range.min() || range.max() > kMostWorkers)
    throw Error(ErrorCode::kInvalidArgument,
                text() + ": must be 1 <= min <= max <= " + std::to_string(kMostWorkers));
  const std::string field = counted_in_workers(record.job.spec());
  if (range.max() != record.job.spec().workers().max() && !field.empty())
    throw Error(ErrorCode::kFailedPrecondition,
                "workers.max of job " + record.id() + " cannot become " + std::to_string(range.max()) + ": " +
                    field + " counts batches of each of " +
                    std::to_string(record.job.spec().workers().max()) + " workers; change workers.min only");
  return range;
}

}  // namespace

const v1::Job& Engine::cancel(Now now, const std::string& id, std::chrono::seconds grace) {
  JobRecord& record = this->record(job(id).id());
  if (is_final(record.state())) check_transition(record.id(), record.state(), v1::JOB_STATE_CANCELLING);
  const Clock::Steady deadline = now.steady + grace;
  if (!record.cancelling() || deadline < record.desired.deadline) {
    record.desired = {Desired::Goal::kCancel, grace, deadline};
    record.mark(JobRecord::Unsaved::kState);
  }
  settle(now);
  return record.job;
}

const v1::Job& Engine::pause(Now now, const std::string& id, std::chrono::seconds grace) {
  JobRecord& record = this->record(job(id).id());
  switch (record.state()) {
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_STARTING:
    case v1::JOB_STATE_RUNNING:
    case v1::JOB_STATE_RECOVERING:
      record.desired = {Desired::Goal::kPause, grace, std::nullopt};
      break;
    case v1::JOB_STATE_PAUSING:
      record.desired.deadline =
          std::min(record.desired.deadline.value_or(Clock::Steady::max()), now.steady + grace);
      break;
    default:
      refuse(record, "it cannot be paused");
  }
  record.mark(JobRecord::Unsaved::kState);
  settle(now);
  return record.job;
}

const v1::Job& Engine::resume(Now now, const std::string& id, const v1::WorkerRange* workers) {
  JobRecord& record = this->record(job(id).id());
  if (record.state() != v1::JOB_STATE_PAUSED) refuse(record, "only a paused job can be resumed");
  if (workers != nullptr) *record.job.mutable_spec()->mutable_workers() = checked_range(record, *workers);
  record.desired = {};
  record.mark(JobRecord::Unsaved::kState);
  settle(now);
  return record.job;
}

Injected Engine::inject(const std::string& id, int rank, const v1::Fault& fault) {
  JobRecord& record = this->record(job(id).id());
  if (fault.kind() == v1::FAULT_KIND_UNSPECIFIED || !v1::FaultKind_IsValid(fault.kind()))
    throw Error(ErrorCode::kInvalidArgument,
                "fault.kind: must be kill, hang, slow, corrupt-checkpoint or partition");
  if (!record.has_open_generation()) refuse(record, "it has no trainers to harm");
  Member* member = record.generation->member(rank);
  if (member == nullptr || member->out())
    refuse(record, "generation " + std::to_string(record.generation->number) + " of " +
                       std::to_string(record.generation->members.size()) + " workers has no rank " +
                       std::to_string(rank) + (member == nullptr ? "" : " any more"));
  member->injected = true;
  v1::CoordinatorMessage message;
  v1::InjectOrder& order = *message.mutable_inject();
  *order.mutable_id() = record.generation_id();
  order.set_rank(rank);
  *order.mutable_fault() = fault;
  send(member->worker_id, std::move(message));
  return {member->worker_id, record.generation->number};
}

}  // namespace mdgen::coordinator
