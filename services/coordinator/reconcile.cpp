#include "services/coordinator/reconcile.h"

#include <algorithm>

#include "services/coordinator/job_state.h"
#include "services/coordinator/reconcile_parts.h"

namespace mdgen::coordinator {
namespace decide {

using std::chrono::milliseconds;

void kill_rest(const Generation& generation, Actions& actions) {
  if (generation.killed_at) return;
  actions.emplace_back(
      KillTrainers{ranks_where(generation, [](const Member& member) { return !member.kill_sent; }), true});
}

bool ended(Clock::Steady now, const Generation& generation, const EngineOptions& options) {
  return generation.all_over() || (generation.killed_at && now - *generation.killed_at >= options.exit_wait);
}

bool fenced(Clock::Steady now, const Generation& generation, const EngineOptions& options) {
  const auto lease = std::chrono::duration_cast<milliseconds>(options.lease * options.lease_margin);
  return generation.concluded || generation.any_left() || now - generation.lease_granted >= lease;
}

std::string at_step(const JobRecord& record) {
  const std::string checkpoint = record.job.checkpoint().empty()
                                     ? "no checkpoint"
                                     : "checkpoint at step " + std::to_string(record.job.checkpoint_step());
  return "at step " + std::to_string(record.job.step()) + " of " + std::to_string(record.job.total_steps()) +
         ", " + checkpoint;
}

void renew_lease(Clock::Steady now, const Generation& generation, const EngineOptions& options,
                 Actions& actions) {
  if (now - generation.lease_granted >= options.lease / 3) actions.emplace_back(RenewLease{});
}

void fail(const std::string& reason, const std::string& message, Actions& actions) {
  actions.emplace_back(CloseGeneration{});
  actions.emplace_back(ChangeState{v1::JOB_STATE_FAILED, reason, message});
}

namespace {

std::string departure_reason(Departure departure) {
  switch (departure) {
    case Departure::kGrow:
      return "WorkersAdded";
    case Departure::kShrink:
      return "WorkersReclaimed";
    default:
      return "WorkerLeaves";
  }
}

void begin_pause(const JobRecord& record, Actions& actions) {
  const bool kill = record.desired.grace.count() == 0;
  const std::string how = kill ? "killing the trainers"
                               : "the trainers write a checkpoint and leave, within " +
                                     std::to_string(record.desired.grace.count()) + " s";
  actions.emplace_back(ChangeState{v1::JOB_STATE_PAUSING, "PauseRequested", how});
  const Generation& generation = *record.generation;
  if (kill) {
    kill_rest(generation, actions);
  } else if (!generation.broken_up) {
    actions.emplace_back(StopTrainers{
        ranks_where(generation, [](const Member& member) { return !member.out(); }), true, true});
  }
}

void become_running(const JobRecord& record, Actions& actions) {
  const Generation& generation = *record.generation;
  const std::string message = "generation " + std::to_string(generation.number) + " of " +
                              std::to_string(generation.members.size()) + " workers goes on from step " +
                              std::to_string(record.job.step());
  actions.emplace_back(record.remark ? ChangeState{v1::JOB_STATE_RUNNING, record.remark->reason,
                                                   record.remark->message + "; " + message}
                                     : ChangeState{v1::JOB_STATE_RUNNING, "Started", message});
}

void reconcile_running(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                       Actions& actions) {
  const Generation& generation = *record.generation;
  if (record.cancelling()) return begin_cancel(record, actions);
  if (generation.cause() != nullptr) return reconcile_failed(now, record, {}, options, actions);
  if (record.state() == v1::JOB_STATE_STARTING && generation.members[0].started)
    become_running(record, actions);
  if (record.state() == v1::JOB_STATE_RUNNING) {
    if (generation.completed()) return finish_completed(record, actions);
    if (generation.departure && generation.all_out()) {
      actions.emplace_back(ChangeState{
          v1::JOB_STATE_RECOVERING, departure_reason(*generation.departure),
          "all trainers have left generation " + std::to_string(generation.number) + " " + at_step(record)});
      return;
    }
    if (record.pausing()) return begin_pause(record, actions);
  }
  renew_lease(now, generation, options, actions);
}

void reconcile_validating(const JobRecord& record, const Offer& offer, Actions& actions) {
  if (record.cancelling()) {
    if (record.examination) actions.emplace_back(StopExamination{});
    actions.emplace_back(end_of(record, "cancelled while validating"));
  } else if (record.wants_examiner()) {
    if (offer && !offer->empty()) actions.emplace_back(Examine{offer->front()});
  } else if (!record.validating && !record.examination) {
    actions.emplace_back(BuildManifest{});
  }
}

void reconcile_waiting(const JobRecord& record, const Offer& offer, Actions& actions) {
  if (record.cancelling()) {
    actions.emplace_back(end_of(record, "cancelled " + at_step(record)));
  } else if (const auto hopeless = why_it_cannot_start(record.after)) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_FAILED, "DependencyFailed", *hopeless});
  } else if (record.pausing() && record.state() == v1::JOB_STATE_QUEUED) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_PAUSED, "Paused", "paused " + at_step(record)});
  } else if (offer && !offer->empty()) {
    actions.emplace_back(OpenGeneration{seat(nullptr, *offer, 0)});
    actions.emplace_back(ChangeState{v1::JOB_STATE_STARTING, "WorkersAssigned",
                                     std::to_string(offer->size()) + " trainers are starting"});
  }
}

void reconcile_paused(const JobRecord& record, Actions& actions) {
  if (record.cancelling()) {
    actions.emplace_back(end_of(record, "cancelled " + at_step(record)));
  } else if (!record.pausing()) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_QUEUED, "Resumed", "goes on " + at_step(record)});
  }
}

void reconcile_recovering(Clock::Steady now, const JobRecord& record, const Offer& offer,
                          const EngineOptions& options, Actions& actions) {
  if (!record.has_open_generation()) return reconcile_waiting(record, offer, actions);
  if (record.cancelling()) return begin_cancel(record, actions);
  if (record.pausing()) return begin_pause(record, actions);
  if (record.generation->cause() != nullptr) return reconcile_failed(now, record, offer, options, actions);
  reconcile_changed(now, record, offer, options, actions);
}

}  // namespace
}  // namespace decide

std::vector<Action> reconcile(Clock::Steady now, const JobRecord& record, const Offer& offer,
                              const EngineOptions& options) {
  decide::Actions actions;
  if (record.expires_at && now >= *record.expires_at && !record.cancelling() && !is_final(record.state())) {
    actions.emplace_back(Expire{});
    return actions;
  }
  switch (record.state()) {
    case v1::JOB_STATE_VALIDATING:
      decide::reconcile_validating(record, offer, actions);
      break;
    case v1::JOB_STATE_QUEUED:
      decide::reconcile_waiting(record, offer, actions);
      break;
    case v1::JOB_STATE_STARTING:
    case v1::JOB_STATE_RUNNING:
      decide::reconcile_running(now, record, options, actions);
      break;
    case v1::JOB_STATE_RECOVERING:
      decide::reconcile_recovering(now, record, offer, options, actions);
      break;
    case v1::JOB_STATE_PAUSING:
    case v1::JOB_STATE_CHECKPOINTING:
      decide::reconcile_leaving(now, record, options, actions);
      break;
    case v1::JOB_STATE_PAUSED:
      decide::reconcile_paused(record, actions);
      break;
    case v1::JOB_STATE_CANCELLING:
      decide::reconcile_cancelling(now, record, options, actions);
      break;
    default:
      break;
  }
  return actions;
}

double timeout_scale(const JobRecord& record) {
  const v1::RecoverySpec& spec = record.job.spec().recovery();
  return spec.has_timeout_scale() ? spec.timeout_scale() : 1.0;
}

int world_size(const JobRecord& record) {
  return record.generation ? static_cast<int>(record.generation->members.size()) : 1;
}

Bounds bounds_of(const JobRecord& record) {
  const v1::JobSpec& spec = record.job.spec();
  const bool steady_validations =
      spec.loop().inference_batches() == 0 || spec.loop().designability_freq() <= 1;
  return bounds(record.measured, world_size(record), timeout_scale(record),
                record.generation && record.generation->stepped, steady_validations);
}

}  // namespace mdgen::coordinator
