// Engine: what clients ask of jobs that are there.
#include <algorithm>

#include "core/base/error.h"
#include "core/base/labels.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

constexpr int kMostWorkers = 4096;

std::string grace_text(std::chrono::seconds grace) {
  return grace.count() == 0 ? "at once" : "within " + std::to_string(grace.count()) + " s";
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

const v1::Job& Engine::cancel(Now now, const std::string& id, std::chrono::seconds grace,
                              const std::string& actor) {
  JobRecord& record = this->record(job(id).id());
  check_request(record.id(), record.state(), Request::kCancel);
  const Clock::Steady deadline = now.steady + grace;
  if (!record.cancelling() || deadline < record.desired.deadline) {
    const auto goal = record.expiring() ? Desired::Goal::kExpire : Desired::Goal::kCancel;
    record.desired = {goal, grace, deadline};
    record.mark(JobRecord::Unsaved::kState);
  }
  note(now, record, "Change", "CancelRequested", grace_text(grace), actor);
  settle(now);
  return record.job;
}

const v1::Job& Engine::pause(Now now, const std::string& id, std::chrono::seconds grace,
                             const std::string& actor) {
  JobRecord& record = this->record(job(id).id());
  check_request(record.id(), record.state(), Request::kPause);
  if (record.state() == v1::JOB_STATE_PAUSING) {
    record.desired.deadline =
        std::min(record.desired.deadline.value_or(Clock::Steady::max()), now.steady + grace);
  } else {
    record.desired = {Desired::Goal::kPause, grace, std::nullopt};
  }
  record.mark(JobRecord::Unsaved::kState);
  note(now, record, "Change", "PauseRequested", grace_text(grace), actor);
  settle(now);
  return record.job;
}

const v1::Job& Engine::resume(Now now, const std::string& id, const v1::WorkerRange* workers,
                              const std::string& actor) {
  JobRecord& record = this->record(job(id).id());
  check_request(record.id(), record.state(), Request::kResume);
  if (workers != nullptr) {
    const v1::WorkerRange range = checked_range(record, *workers);
    record.selector = parse_labels("workers.selector", range.selector());
    *record.job.mutable_spec()->mutable_workers() = range;
  }
  record.desired = {};
  record.mark(JobRecord::Unsaved::kState);
  note(now, record, "Change", "ResumeRequested",
       workers == nullptr ? "as before" : "with another range of workers", actor);
  settle(now);
  return record.job;
}

Injected Engine::inject(Now now, const std::string& id, int rank, const v1::Fault& fault,
                        const std::string& actor) {
  JobRecord& record = this->record(job(id).id());
  if (fault.kind() == v1::FAULT_KIND_UNSPECIFIED || !v1::FaultKind_IsValid(fault.kind()))
    throw Error(ErrorCode::kInvalidArgument,
                "fault.kind: must be kill, hang, slow, corrupt-checkpoint or partition");
  check_request(record.id(), record.state(), Request::kInject);
  Member* member = record.has_open_generation() ? record.generation->member(rank) : nullptr;
  if (member == nullptr || member->out())
    throw Error(ErrorCode::kFailedPrecondition, "job " + record.id() + " is " + state_name(record.state()) +
                                                    " and has no rank " + std::to_string(rank) +
                                                    (member == nullptr ? "" : " any more"));
  member->injected = true;
  v1::CoordinatorMessage message;
  v1::InjectOrder& order = *message.mutable_inject();
  *order.mutable_id() = record.generation_id();
  order.set_rank(rank);
  *order.mutable_fault() = fault;
  send(member->worker_id, std::move(message));
  note(now, record, "Change", "FaultInjected",
       v1::FaultKind_Name(fault.kind()) + " into rank " + std::to_string(rank), actor);
  return {member->worker_id, record.generation->number};
}

}  // namespace mdgen::coordinator
