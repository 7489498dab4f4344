#include "services/coordinator/engine.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {

Engine::Engine(EngineOptions options, std::int64_t epoch, std::vector<JobRecord> records, Now now)
    : options_(options),
      epoch_(epoch),
      reconnect_until_(now.steady + options.reconnect_grace),
      awake_at_(now.steady) {
  for (JobRecord& stored : records) {
    auto& record = *jobs_.emplace_back(std::make_unique<JobRecord>(std::move(stored)));
    by_id_[record.id()] = &record;
    last_ordinal_ = std::max(last_ordinal_, record.ordinal);
    if (record.job.attempt() == 0) record.job.set_attempt(1);  // of an older version
    if (!record.request_id.empty()) by_request_[record.request_id] = &record;
    if (!is_final(record.state())) restore(record, now);
  }
  settle(now);
}

namespace {

Evidence::Kind kind_of(const std::string& reason) {
  if (reason == "WorkerLost" || reason == "TrainerLost" || reason == "CoordinatorRestarted")
    return Evidence::Kind::kWorkerLost;
  if (reason == "Hang" || reason == "TrainerSilent" || reason == "NetworkHang") return Evidence::Kind::kHang;
  if (reason == "TrainerKilled" || reason == "TrainerExited" || reason == "TrainerStopped")
    return Evidence::Kind::kTrainerExit;
  if (reason.starts_with("Collective") || reason == "Unavailable" || reason == "Aborted")
    return Evidence::Kind::kCollective;
  return Evidence::Kind::kTrainerFailure;
}

// A change of the workers, or a pause that was given up: no failure.
std::optional<Departure> departure_of(const std::string& reason) {
  if (reason == "WorkersAdded") return Departure::kGrow;
  if (reason == "WorkersReclaimed") return Departure::kShrink;
  if (reason == "WorkerLeaves") return Departure::kDrain;
  if (reason == "CheckpointFailed") return Departure::kPause;
  return std::nullopt;
}

}  // namespace

void Engine::restore(JobRecord& record, Now now) {
  if (record.job.has_deadline()) record.expires_at = now.steady + (to_wall(record.job.deadline()) - now.wall);
  record.selector = parse_labels("workers.selector", record.job.spec().workers().selector());
  if (record.desired.goal != Desired::Goal::kRun) record.desired.deadline = now.steady + record.desired.grace;
  record.run.restore(record.job);
  record.measured = measured_before(record.job.timeouts(), world_size(record), timeout_scale(record));
  if (!record.has_open_generation()) return;
  Generation& generation = *record.generation;
  generation.lease_granted = generation.opened_at = now.steady;
  generation.last_step = record.ledger.last_step();
  const v1::JobState state = record.state();
  for (Member& member : generation.members) {
    member.connected = false;
    member.stop_sent = state == v1::JOB_STATE_CANCELLING;
    member.last_heard = member.changed_at = now.steady;
  }
  take_seats(record);
  rendezvous_.open(record.id(), generation.number, static_cast<int>(generation.members.size()));
  record.ledger.go_on(generation.number, static_cast<int>(generation.members.size()), record.plan_digest);
  generation.members[0].started = state != v1::JOB_STATE_STARTING;
  if (generation.members[0].started)
    for (const Member& member : generation.members) record.proven.insert(member.worker_id);
  record.resized_at = now.steady;
  if (state == v1::JOB_STATE_PAUSING || state == v1::JOB_STATE_CHECKPOINTING)
    generation.departure = Departure::kPause;
  if (state == v1::JOB_STATE_STARTING) {
    fail(now, record,
         {Evidence::Kind::kWorkerLost, 0, "CoordinatorRestarted",
          "the coordinator was restarted while generation " + std::to_string(generation.number) +
              " was forming",
          true, false});
  } else if (state == v1::JOB_STATE_RECOVERING) {
    const std::string& reason = record.job.reason();
    generation.departure = departure_of(reason);
    if (generation.departure == Departure::kPause) record.remark = Verdict{reason, record.job.message()};
    if (!generation.departure)
      fail(now, record, {kind_of(reason), 0, reason, record.job.message(), true, false});
    generation.broken_up = true;
    if (generation.concluded) generation.concluded_at = now.steady;
    record.recovery.detected = now.steady;
  }
}

void Engine::validated(Now now, const std::string& job_id, Validated result) {
  JobRecord* const found = find_record(job_id);
  if (found == nullptr || found->state() != v1::JOB_STATE_VALIDATING) return;
  JobRecord& record = *found;
  record.job.set_total_steps(result.total_steps);
  record.job.set_total_epochs(result.total_epochs);
  record.job.set_manifest_digest(result.manifest.digest());
  for (const std::string& warning : result.warnings) warn(now, record, warning);
  record.manifest = std::move(result.manifest);
  record.plan_digest = std::move(result.plan_digest);
  record.manifest_unsaved = true;
  apply(now, record,
        ChangeState{v1::JOB_STATE_QUEUED, "Validated",
                    "the data set is good: " + std::to_string(record.manifest.train().entries_size()) +
                        " training entries, " + std::to_string(result.total_steps) + " steps"});
  settle(now);
}

void Engine::validation_failed(Now now, const std::string& job_id, const std::string& reason,
                               const std::string& message) {
  JobRecord* const record = find_record(job_id);
  if (record == nullptr || record->state() != v1::JOB_STATE_VALIDATING) return;
  apply(now, *record, ChangeState{v1::JOB_STATE_FAILED, reason, message});
  settle(now);
}

void Engine::save(JobStore& store, Now now, bool all) {
  if (!to_forget_.empty()) {
    store_fails_ = true;
    store.forget(to_forget_);
    store_fails_ = false;
    to_forget_.clear();
  }
  std::vector<const JobRecord*> dirty;
  bool due = all || !saved_at_ || now.steady - *saved_at_ >= options_.save_interval;
  for (const auto& record : jobs_) {
    const bool state = record->unsaved == JobRecord::Unsaved::kState || record->generation_unsaved ||
                       record->manifest_unsaved;
    const bool progress = record->unsaved != JobRecord::Unsaved::kNothing ||
                          !record->ledger.pending().empty() || !record->events.pending().empty();
    if (!state && !progress) continue;
    dirty.push_back(record.get());
    due |= state || record->ledger.unsaved_steps() >= options_.unsaved_steps;
  }
  if (!due || dirty.empty()) return;
  store_fails_ = true;
  store.save(dirty);  // the progress of all jobs with what is due of one: a transaction costs more than a row
  store_fails_ = false;
  saved_at_ = now.steady;
  for (const JobRecord* saved : dirty) {
    JobRecord& record = *by_id_.at(saved->id());
    if (!record.ledger.pending().empty()) confirm(record);
    record.unsaved = JobRecord::Unsaved::kNothing;
    record.generation_unsaved = record.manifest_unsaved = false;
    record.ledger.clear_pending();
    record.events.clear_pending();
  }
}

// Rank 0's agent keeps what it has reported until then.
void Engine::confirm(const JobRecord& record) {
  if (!record.has_open_generation()) return;
  v1::CoordinatorMessage message;
  v1::Stored& stored = *message.mutable_stored();
  stored.mutable_id()->set_job_id(record.id());
  stored.mutable_id()->set_generation(record.generation->number);
  stored.set_step(record.ledger.last_step());
  send(record.generation->members.front().worker_id, std::move(message));
}

std::vector<Output> Engine::take_outputs() { return std::exchange(outputs_, {}); }

JobRecord& Engine::record(const std::string& id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) throw Error(ErrorCode::kNotFound, "there is no job " + id);
  return *found->second;
}

const JobRecord* Engine::find(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

JobRecord* Engine::live_record(const v1::GenerationId& id) {
  const auto found = by_id_.find(id.job_id());
  if (found == by_id_.end()) return nullptr;
  JobRecord* record = found->second;
  return record->has_open_generation() && record->generation->number == id.generation() ? record : nullptr;
}

}  // namespace mdgen::coordinator
