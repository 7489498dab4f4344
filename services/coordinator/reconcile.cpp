#include "services/coordinator/reconcile.h"

#include <algorithm>

namespace mdgen::coordinator {
namespace {

using Actions = std::vector<Action>;
using std::chrono::milliseconds;

template <typename Predicate>
std::vector<int> ranks_where(const Generation& generation, Predicate&& predicate) {
  std::vector<int> ranks;
  for (const Member& member : generation.members)
    if (!member.over() && predicate(member)) ranks.push_back(member.rank);
  return ranks;
}

// Once: it reaches everybody who is not over.
void kill_rest(const Generation& generation, Actions& actions) {
  if (generation.killed_at) return;
  actions.emplace_back(
      KillTrainers{ranks_where(generation, [](const Member& member) { return !member.kill_sent; })});
}

// A collective error alone says that a peer is gone, not which: its end is awaited for a moment, so that our
// own kill does not hide it.
bool cause_known(Clock::Steady now, const Generation& generation, const EngineOptions& options) {
  return generation.cause()->kind != Evidence::Kind::kCollective ||
         now - *generation.failed_at >= options.cause_wait;
}

// All ends are known, or were waited for long enough.
bool ended(Clock::Steady now, const Generation& generation, const EngineOptions& options) {
  return generation.all_over() || (generation.killed_at && now - *generation.killed_at >= options.exit_wait);
}

// No member can apply another step: a collective needs everyone, so one confirmed end will do; without any,
// the lease decides.
bool fenced(Clock::Steady now, const Generation& generation, const EngineOptions& options) {
  const auto lease = std::chrono::duration_cast<milliseconds>(options.lease * options.lease_margin);
  return generation.any_gone() || now - generation.lease_granted >= lease;
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

std::string validated_text(const v1::Job& job) {
  const std::string weights =
      job.checkpoint().empty() ? "the initial weights" : "the weights of " + job.checkpoint();
  return job.has_val_loss() ? weights + " have val_loss " + std::to_string(job.val_loss())
                            : weights + " were validated";
}

void finish_completed(const JobRecord& record, Actions& actions) {
  actions.emplace_back(CloseGeneration{});
  const v1::Job& job = record.job;
  if (job.spec().loop().validate()) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_SUCCEEDED, "Validated", validated_text(job)});
    return;
  }
  if (!job.checkpoint().empty() && job.checkpoint_step() >= job.total_steps()) {
    actions.emplace_back(
        ChangeState{v1::JOB_STATE_SUCCEEDED, "Completed",
                    "all " + std::to_string(job.total_steps()) +
                        " steps are done and the last checkpoint is verified: " + job.checkpoint()});
    return;
  }
  const std::string message =
      "the trainers completed without a verified checkpoint of step " + std::to_string(job.total_steps());
  if (record.state() == v1::JOB_STATE_CANCELLING) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_CANCELLED, "Cancelled", message});
  } else {
    actions.emplace_back(ChangeState{v1::JOB_STATE_FAILED, "NoFinalCheckpoint", message});
  }
}

void begin_cancel(const JobRecord& record, Actions& actions) {
  const bool kill = record.desired.grace.count() == 0;
  actions.emplace_back(ChangeState{v1::JOB_STATE_CANCELLING, "CancelRequested",
                                   kill ? "killing the trainers"
                                        : "the trainers write a checkpoint and leave, within " +
                                              std::to_string(record.desired.grace.count()) + " s"});
  if (kill) {
    kill_rest(*record.generation, actions);
  } else {
    actions.emplace_back(StopTrainers{
        ranks_where(*record.generation, [](const Member& member) { return !member.stop_sent; })});
  }
}

void reconcile_failed(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                      Actions& actions) {
  const Generation& generation = *record.generation;
  const Evidence& cause = *generation.cause();
  if (!cause_known(now, generation, options) && !generation.all_over()) return;
  if (cause.restartable && record.state() != v1::JOB_STATE_RECOVERING) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_RECOVERING, cause.reason, cause.message});
  }
  kill_rest(generation, actions);
  if (!ended(now, generation, options)) return;
  if (!cause.restartable) {
    actions.emplace_back(CloseGeneration{true});
    actions.emplace_back(ChangeState{v1::JOB_STATE_FAILED, cause.reason, cause.message});
    return;
  }
  if (!fenced(now, generation, options)) {
    actions.emplace_back(
        Explain{cause.reason, cause.message + "; no trainer's end is confirmed: the next generation waits "
                                              "until the lease has ended"});
    return;
  }
  actions.emplace_back(CloseGeneration{true});
  const FailureStreak streak = extend(record.streak, cause.reason, record.best_step);
  if (streak.same_reason > options.max_restarts_same_cause ||
      streak.any_reason > options.max_restarts_without_progress) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_FAILED, cause.reason,
                                     cause.message + "; given up after " +
                                         std::to_string(streak.any_reason - 1) +
                                         " restarts without progress"});
  } else {
    actions.emplace_back(Explain{cause.reason, cause.message});
  }
}

void reconcile_cancelling(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                          Actions& actions) {
  const Generation& generation = *record.generation;
  if (generation.completed()) return finish_completed(record, actions);
  const bool failed = generation.cause() != nullptr;
  if (failed || (record.desired.deadline && now >= *record.desired.deadline)) kill_rest(generation, actions);
  if (!ended(now, generation, options)) return renew_lease(now, generation, options, actions);
  actions.emplace_back(CloseGeneration{});
  std::string message = "cancelled " + at_step(record);
  if (failed) message += "; while stopping: " + generation.cause()->message;
  if (!generation.all_over()) message += "; the end of some trainers is not confirmed";
  actions.emplace_back(ChangeState{v1::JOB_STATE_CANCELLED, "Cancelled", std::move(message)});
}

void reconcile_running(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                       Actions& actions) {
  const Generation& generation = *record.generation;
  if (record.cancelling()) return begin_cancel(record, actions);
  if (generation.cause() != nullptr) return reconcile_failed(now, record, options, actions);
  if (record.state() == v1::JOB_STATE_STARTING && generation.members[0].started) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_RUNNING, "Started",
                                     "generation " + std::to_string(generation.number) + " of " +
                                         std::to_string(generation.members.size()) +
                                         " workers goes on from step " + std::to_string(record.job.step())});
  }
  if (record.state() == v1::JOB_STATE_RUNNING && generation.completed())
    return finish_completed(record, actions);
  renew_lease(now, generation, options, actions);
}

void reconcile_validating(const JobRecord& record, const std::vector<std::string>& offer, Actions& actions) {
  if (record.cancelling()) {
    if (record.examination) actions.emplace_back(StopExamination{});
    actions.emplace_back(ChangeState{v1::JOB_STATE_CANCELLED, "Cancelled", "cancelled while validating"});
  } else if (record.wants_examiner()) {
    if (!offer.empty()) actions.emplace_back(Examine{offer[0]});
  } else if (!record.validating && !record.examination) {
    actions.emplace_back(BuildManifest{});
  }
}

void reconcile_waiting(const JobRecord& record, const std::vector<std::string>& offer, Actions& actions) {
  if (record.cancelling()) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_CANCELLED, "Cancelled", "cancelled " + at_step(record)});
    return;
  }
  if (offer.empty()) return;
  actions.emplace_back(OpenGeneration{offer});
  actions.emplace_back(ChangeState{v1::JOB_STATE_STARTING, "WorkersAssigned",
                                   std::to_string(offer.size()) + " trainers are starting"});
}

}  // namespace

std::vector<Action> reconcile(Clock::Steady now, const JobRecord& record,
                              const std::vector<std::string>& offer, const EngineOptions& options) {
  Actions actions;
  switch (record.state()) {
    case v1::JOB_STATE_VALIDATING:
      reconcile_validating(record, offer, actions);
      break;
    case v1::JOB_STATE_QUEUED:
      reconcile_waiting(record, offer, actions);
      break;
    case v1::JOB_STATE_STARTING:
    case v1::JOB_STATE_RUNNING:
      reconcile_running(now, record, options, actions);
      break;
    case v1::JOB_STATE_RECOVERING:
      if (!record.has_open_generation()) {
        reconcile_waiting(record, offer, actions);
      } else if (record.cancelling()) {
        begin_cancel(record, actions);
      } else {
        reconcile_failed(now, record, options, actions);
      }
      break;
    case v1::JOB_STATE_CANCELLING:
      reconcile_cancelling(now, record, options, actions);
      break;
    default:
      break;
  }
  return actions;
}

FailureStreak extend(const FailureStreak& streak, const std::string& reason, std::int64_t best_step) {
  FailureStreak next = streak;
  if (best_step > streak.best_step) next.same_reason = next.any_reason = 0;
  if (reason != streak.reason) next.same_reason = 0;
  next.reason = reason;
  next.best_step = std::max(best_step, streak.best_step);
  ++next.same_reason;
  ++next.any_reason;
  return next;
}

}  // namespace mdgen::coordinator
