#include <algorithm>
#include <cstdio>

#include "services/coordinator/reconcile_parts.h"

namespace mdgen::coordinator::decide {
namespace {

std::string validated_text(const v1::Job& job) {
  const std::string weights =
      job.checkpoint().empty() ? "the initial weights" : "the weights of " + job.checkpoint();
  return job.has_val_loss() ? weights + " have val_loss " + std::to_string(job.val_loss())
                            : weights + " were validated";
}

std::string deadline_text(const v1::JobSpec& spec) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g s", spec.deadline_seconds());
  return text;
}

// The newest state that is held and in no checkpoint.
const Member* holder(const JobRecord& record) {
  const Member* best = nullptr;
  for (const Member& member : record.generation->members) {
    if (!member.waits() || member.stop_sent || !member.left->resident()) continue;
    if (best == nullptr || member.left->applied() > best->left->applied()) best = &member;
  }
  const bool new_to_disk = best != nullptr && (best->left->applied() > record.job.checkpoint_step() ||
                                               record.job.checkpoint().empty());
  return new_to_disk ? best : nullptr;
}

// Orders that were given are waited for; then who was asked is killed, and who was killed is lost.
void hurry(Clock::Steady now, const JobRecord& record, const EngineOptions& options, Actions& actions) {
  const Generation& generation = *record.generation;
  const Seconds write_wait =
      std::max(Seconds(options.checkpoint_wait), bounds_of(record).of(v1::TRAINER_PHASE_CHECKPOINT));
  KillTrainers kill;
  LoseMembers lose;
  for (const Member& member : generation.members) {
    if (member.over() || !member.stop_sent) continue;
    const auto waited = now - member.asked_at;
    if (member.kill_sent) {
      if (waited >= options.kill_wait) lose.ranks.push_back(member.rank);
    } else if (waited >= (member.writes ? write_wait : Seconds(options.exit_wait))) {
      kill.ranks.push_back(member.rank);
    }
  }
  if (!kill.ranks.empty()) actions.emplace_back(std::move(kill));
  if (!lose.ranks.empty()) actions.emplace_back(std::move(lose));
}

ChangeState goal_of(const JobRecord& record) {
  if (record.state() == v1::JOB_STATE_PAUSING)
    return {v1::JOB_STATE_PAUSED, "Paused", "paused " + at_step(record)};
  return {v1::JOB_STATE_QUEUED, record.job.reason(), "waits " + at_step(record)};
}

void go_on_running(const std::string& why, Actions& actions) {
  actions.emplace_back(GiveUpPause{});
  actions.emplace_back(ChangeState{v1::JOB_STATE_RECOVERING, "CheckpointFailed",
                                   why + ": the job keeps its workers and goes on"});
}

}  // namespace

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
    actions.emplace_back(end_of(record, message));
  } else {
    actions.emplace_back(ChangeState{v1::JOB_STATE_FAILED, "NoFinalCheckpoint", message});
  }
}

ChangeState end_of(const JobRecord& record, const std::string& message) {
  if (!record.expiring()) return {v1::JOB_STATE_CANCELLED, "Cancelled", message};
  return {v1::JOB_STATE_FAILED, "DeadlineExceeded",
          "it had not ended " + deadline_text(record.job.spec()) + " after its submission; it ended " +
              at_step(record)};
}

void begin_cancel(const JobRecord& record, Actions& actions) {
  const bool kill = record.desired.grace.count() == 0;
  const std::string how = kill ? "killing the trainers"
                               : "the trainers write a checkpoint and leave, within " +
                                     std::to_string(record.desired.grace.count()) + " s";
  actions.emplace_back(record.expiring()
                           ? ChangeState{v1::JOB_STATE_CANCELLING, "DeadlineExceeded",
                                         "it has not ended " + deadline_text(record.job.spec()) +
                                             " after its submission: " + how}
                           : ChangeState{v1::JOB_STATE_CANCELLING, "CancelRequested", how});
  const Generation& generation = *record.generation;
  if (kill) {
    kill_rest(generation, actions);
  } else if (generation.cause() == nullptr) {
    actions.emplace_back(
        StopTrainers{ranks_where(generation, [](const Member& member) { return !member.out(); })});
  }
}

void let_go(Clock::Steady now, const JobRecord& record, const EngineOptions& options, const ChangeState& goal,
            Actions& actions) {
  const Generation& generation = *record.generation;
  if (generation.all_over()) {
    actions.emplace_back(CloseGeneration{});
    actions.emplace_back(goal);
    return;
  }
  const bool writing = std::any_of(generation.members.begin(), generation.members.end(),
                                   [](const Member& member) { return member.writes && !member.over(); });
  if (!writing) {
    if (const Member* best = holder(record)) {
      actions.emplace_back(StopTrainers{{best->rank}, true, false});
      return;
    }
    auto rest =
        ranks_where(generation, [](const Member& member) { return !member.stop_sent && !member.kill_sent; });
    if (!rest.empty()) {
      actions.emplace_back(StopTrainers{std::move(rest), false, false});
      return;
    }
  }
  hurry(now, record, options, actions);
}

void reconcile_cancelling(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                          Actions& actions) {
  const Generation& generation = *record.generation;
  if (generation.completed()) return finish_completed(record, actions);
  const bool failed = generation.cause() != nullptr;
  if (record.desired.deadline && now >= *record.desired.deadline) kill_rest(generation, actions);
  std::string message = "cancelled " + at_step(record);
  if (failed) message += "; while stopping: " + generation.cause()->message;
  if (ended(now, generation, options)) {
    if (!generation.all_over()) message += "; the end of some trainers is not confirmed";
    actions.emplace_back(CloseGeneration{});
    actions.emplace_back(end_of(record, message));
    return;
  }
  if (generation.killed_at) return;
  if (failed && !generation.broken_up) {
    actions.emplace_back(BreakUp{});
  } else if (generation.all_out()) {
    let_go(now, record, options, end_of(record, message), actions);
  } else if (!failed || !chase(now, record, options, actions)) {
    renew_lease(now, generation, options, actions);
  }
}

void reconcile_leaving(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                       Actions& actions) {
  const Generation& generation = *record.generation;
  if (record.cancelling()) return begin_cancel(record, actions);
  if (generation.completed()) return finish_completed(record, actions);
  const auto& deadline = generation.leave_by ? generation.leave_by : record.desired.deadline;
  if (deadline && now >= *deadline) kill_rest(generation, actions);
  if (const Evidence* cause = generation.cause()) {
    if (const auto hopeless = not_restartable(*cause, record.job.spec().recovery()))
      return reconcile_failed(now, record, {}, options, actions);
    if (cause->reason == "CheckpointFailed" && !generation.concluded)
      return go_on_running(cause->message, actions);
    if (!generation.broken_up) {
      actions.emplace_back(BreakUp{});
      return;
    }
  }
  if (generation.cause() != nullptr && chase(now, record, options, actions)) return;
  if (!generation.all_out() || !fenced(now, generation, options))
    return renew_lease(now, generation, options, actions);
  if (generation.cause() == nullptr && !generation.concluded && generation.agreed() &&
      !generation.checkpointed() && holder(record) != nullptr)
    return go_on_running("the trainers could not write a checkpoint", actions);
  let_go(now, record, options, goal_of(record), actions);
}

}  // namespace mdgen::coordinator::decide
