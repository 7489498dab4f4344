#include <algorithm>
#include <cstdio>

#include "services/coordinator/reconcile_parts.h"

namespace mdgen::coordinator::decide {
namespace {

using std::chrono::milliseconds;

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", seconds);
  return text;
}

const v1::RecoverySpec& recovery_spec(const JobRecord& record) { return record.job.spec().recovery(); }

std::optional<Verdict> why_give_up(const JobRecord& record, const Evidence& cause,
                                   const EngineOptions& options) {
  std::string samples;
  const auto verdict = [&] {
    return exhausted(cause, recovery_spec(record), record.job.restarts(), record.streak,
                     options.max_restarts_without_progress, record.poison, samples);
  };
  auto first = verdict();
  if (!first || first->reason != "PoisonStep" || !options.step_samples) return first;
  samples = options.step_samples(record.job.spec(), record.manifest, record.poison.step);
  return verdict();
}

void open_next(const JobRecord& record, const std::vector<std::string>& newcomers, Actions& actions) {
  const Generation& old = *record.generation;
  std::vector<Seat> seats = seat(&old, newcomers, record.most_workers());
  const auto size = seats.size();
  const auto stay = std::min<std::size_t>(size, static_cast<std::size_t>(old.usable()));
  actions.emplace_back(OpenGeneration{std::move(seats)});
  actions.emplace_back(ChangeState{v1::JOB_STATE_STARTING, "WorkersAssigned",
                                   std::to_string(size) + " trainers form the next generation, " +
                                       std::to_string(stay) + " of them go on"});
}

// Below workers.min: those that are left hold what they have for a while, then the job goes back to the
// queue.
void hold(Clock::Steady now, const JobRecord& record, const std::string& reason, const std::string& message,
          Actions& actions) {
  const Generation& generation = *record.generation;
  const double seconds = recovery_spec(record).has_hold_below_min_seconds()
                             ? recovery_spec(record).hold_below_min_seconds()
                             : 300.0;
  const int left = generation.usable();
  const std::string few = std::to_string(left) + " of at least " +
                          std::to_string(record.job.spec().workers().min()) + " workers are there";
  if (now - *generation.concluded_at < Seconds(seconds)) {
    actions.emplace_back(
        Explain{reason, message + "; " + few + ": what they hold is kept for " + seconds_text(seconds)});
  } else if (generation.any_waits()) {
    actions.emplace_back(ChangeState{v1::JOB_STATE_CHECKPOINTING, "BelowMin",
                                     few + " after " + seconds_text(seconds) +
                                         ": a checkpoint is written and the job goes back to the queue"});
  } else {
    actions.emplace_back(CloseGeneration{});
    actions.emplace_back(ChangeState{v1::JOB_STATE_QUEUED, "BelowMin", few + "; waits " + at_step(record)});
  }
}

// Everybody is out, nobody can go on: the next generation opens as soon as it has workers.
void reconcile_concluded(Clock::Steady now, const JobRecord& record, const Offer& offer,
                         const std::string& reason, const std::string& message, Actions& actions) {
  if (offer && record.generation->usable() + static_cast<int>(offer->size()) > 0)
    return open_next(record, *offer, actions);
  if (record.retry_at && now < *record.retry_at) {
    const Seconds pause = backoff(record.streak, recovery_spec(record));
    actions.emplace_back(Explain{reason, message + "; " + std::to_string(record.streak.failures - 1) +
                                             " restarts without progress: the next one waits " +
                                             seconds_text(pause.count())});
    return;
  }
  hold(now, record, reason, message, actions);
}

// False until all members are out and the generation is fenced.
bool is_over(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
             const std::string& reason, const std::string& message, Actions& actions) {
  const Generation& generation = *record.generation;
  if (chase(now, record, options, actions)) return false;
  if (generation.all_out() && fenced(now, generation, options)) return true;
  const bool unconfirmed = generation.all_out();
  actions.emplace_back(
      Explain{reason, message + (unconfirmed ? "; no trainer's end is confirmed: the next generation waits "
                                               "until the lease has ended"
                                             : "")});
  return false;
}

// In these phases an abort is heeded only at their end, however long that takes; not by a stopped process.
Seconds time_to_leave(const Member& member, const Bounds& bounds) {
  const bool heeds_late = member.phase == v1::TRAINER_PHASE_VALIDATE ||
                          member.phase == v1::TRAINER_PHASE_CHECKPOINT ||
                          member.phase == v1::TRAINER_PHASE_INIT || member.phase == v1::TRAINER_PHASE_HEAL;
  if (!heeds_late || member.silent >= bounds.silent) return bounds.abort;
  return std::max(bounds.abort, bounds.of(member.phase));
}

// A restart would not help: what the others hold and no checkpoint has is written, then all end.
void end_failed(Clock::Steady now, const JobRecord& record, const EngineOptions& options,
                const Verdict& verdict, Actions& actions) {
  const Generation& generation = *record.generation;
  const bool on_disk = record.job.step() == 0 || (!record.job.checkpoint().empty() &&
                                                  record.job.checkpoint_step() >= record.job.step());
  const bool writes = std::any_of(generation.members.begin(), generation.members.end(),
                                  [](const Member& member) { return member.writes; });
  if ((on_disk && !writes) || generation.killed_at) {
    kill_rest(generation, actions);
    if (ended(now, generation, options)) fail(verdict.reason, verdict.message, actions);
    return;
  }
  actions.emplace_back(Explain{verdict.reason, verdict.message + "; what the others hold is written"});
  if (chase(now, record, options, actions) || !generation.all_out()) return;
  let_go(now, record, options, {v1::JOB_STATE_FAILED, verdict.reason, verdict.message}, actions);
}

}  // namespace

bool chase(Clock::Steady now, const JobRecord& record, const EngineOptions& options, Actions& actions) {
  const Bounds bounds = bounds_of(record);
  KillTrainers kill;
  LoseMembers lose;
  for (const Member& member : record.generation->members) {
    if (member.over() || !member.connected) continue;
    if (member.kill_sent) {
      if (now - member.asked_at >= options.kill_wait) lose.ranks.push_back(member.rank);
    } else if (!member.left && (member.finish || member.abandon_sent)) {
      const Seconds wait = member.finish ? Seconds(options.kill_wait) : time_to_leave(member, bounds);
      if (now - member.asked_at >= wait) kill.ranks.push_back(member.rank);
    }
  }
  const bool any = !kill.ranks.empty() || !lose.ranks.empty();
  if (!kill.ranks.empty()) actions.emplace_back(std::move(kill));
  if (!lose.ranks.empty()) actions.emplace_back(std::move(lose));
  return any;
}

void reconcile_failed(Clock::Steady now, const JobRecord& record, const Offer& offer,
                      const EngineOptions& options, Actions& actions) {
  const Generation& generation = *record.generation;
  const Evidence& cause = *generation.cause();
  const auto hopeless = not_restartable(cause, recovery_spec(record));
  if (!hopeless && record.state() != v1::JOB_STATE_RECOVERING)
    actions.emplace_back(ChangeState{v1::JOB_STATE_RECOVERING, cause.reason, cause.message});
  if (!generation.broken_up) {
    actions.emplace_back(BreakUp{});
    return;
  }
  if (hopeless) return end_failed(now, record, options, *hopeless, actions);
  if (!is_over(now, record, options, cause.reason, cause.message, actions)) return;
  if (!generation.concluded) {
    actions.emplace_back(Conclude{});
  } else if (const auto over = why_give_up(record, cause, options)) {
    let_go(now, record, options, {v1::JOB_STATE_FAILED, over->reason, over->message}, actions);
  } else {
    reconcile_concluded(now, record, offer, cause.reason, cause.message, actions);
  }
}

void reconcile_changed(Clock::Steady now, const JobRecord& record, const Offer& offer,
                       const EngineOptions& options, Actions& actions) {
  const Generation& generation = *record.generation;
  const v1::Transition& last = record.job.transitions(record.job.transitions_size() - 1);
  if (!generation.broken_up) {
    actions.emplace_back(BreakUp{});
  } else if (is_over(now, record, options, last.reason(), last.message(), actions)) {
    if (!generation.concluded) {
      actions.emplace_back(Conclude{});
    } else {
      reconcile_concluded(now, record, offer, last.reason(), last.message(), actions);
    }
  }
}

}  // namespace mdgen::coordinator::decide
