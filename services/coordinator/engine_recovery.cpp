// Engine: failures are noticed, generations broken up, and what became of their members is taken down.
#include <algorithm>
#include <utility>

#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

constexpr std::chrono::seconds kTimeoutsShown{2};

RootCause root_cause(const Generation& generation, const Evidence& cause) {
  const Member* culprit = generation.member(cause.rank);
  return {cause.reason, cause.message, cause.rank, culprit == nullptr ? "" : culprit->host};
}

// What was told to end proves nothing by ending, unless there is nothing better than a collective's error.
bool weighs_more(const Evidence& evidence, const Generation& generation) {
  const Evidence* cause = generation.cause();
  if (cause == nullptr) return true;
  if (evidence.kind >= cause->kind) return false;
  const Member* member = generation.member(evidence.rank);
  const bool ordered = member != nullptr && (member->abandon_sent || member->kill_sent);
  return !ordered || cause->kind == Evidence::Kind::kCollective;
}

bool may_hang(const JobRecord& record) {
  return record.has_open_generation() && !is_final(record.state()) && !record.generation->broken_up &&
         record.generation->cause() == nullptr;
}

// What a phase took, if this is what follows it, is what such a phase takes.
bool ended_by_itself(const Generation& generation, const v1::Beat& next) {
  return !generation.broken_up && next.phase() != v1::TRAINER_PHASE_WAIT &&
         next.phase() != v1::TRAINER_PHASE_INIT && next.phase() != v1::TRAINER_PHASE_HEAL;
}

// How long the fault had been there when it was noticed.
double undetected_seconds(const Generation& generation, const Evidence& cause) {
  const Member* member = generation.member(cause.rank);
  if (member == nullptr || !generation.failed_at) return 0.0;
  const bool hangs = cause.kind == Evidence::Kind::kHang;
  if (!hangs && cause.kind != Evidence::Kind::kWorkerLost) return 0.0;
  const Clock::Steady since = hangs ? member->changed_at : member->last_heard;
  return std::max(0.0, Seconds(*generation.failed_at - since).count());
}

RankView view_of(const Member& member, Clock::Steady now) {
  return {member.rank,           member.phase,  member.step,
          member.entered_reduce, member.silent, now - member.changed_at};
}

}  // namespace

void Engine::fail(Now now, JobRecord& record, Evidence evidence) {
  Generation& generation = *record.generation;
  const Member* member = generation.member(evidence.rank);
  if (member != nullptr && member->left) return;  // it had left before
  const bool counts = weighs_more(evidence, generation);
  if (!generation.failed_at) generation.failed_at = now.steady;
  if (!counts) return;
  generation.evidence.push_back(std::move(evidence));
  if (generation.broken_up) correct(record, root_cause(generation, *generation.cause()), generation.number);
}

void Engine::correct(JobRecord& record, const RootCause& cause, std::int64_t generation) {
  correct_cause(record.job, generation, cause);
  auto& transitions = *record.job.mutable_transitions();
  if (!transitions.empty() && transitions.rbegin()->state() == v1::JOB_STATE_RECOVERING) {
    transitions.rbegin()->set_reason(cause.reason);
    transitions.rbegin()->set_message(cause.message);
  }
  record.restart_cause = cause.reason;
  record.mark(JobRecord::Unsaved::kState);
}

// Of a generation that has been followed by another: it may still explain why.
void Engine::late_event(Now now, const std::string& worker_id, const v1::TrainerEvent& event) {
  const auto found = by_id_.find(event.id().job_id());
  if (found == by_id_.end() || !found->second->previous) return;
  JobRecord& record = *found->second;
  Generation& generation = *record.previous;
  Member* member = generation.member(event.rank());
  if (event.id().generation() != generation.number || member == nullptr || member->worker_id != worker_id ||
      member->gone || !generation.failed_at || now.steady - *generation.failed_at > options_.cause_wait)
    return;
  std::optional<Evidence> evidence;
  if (event.has_finished() && !member->finish) {
    member->finish = event.finished();
    evidence = judge_finish(*member, event.finished());
  } else if (event.has_exited()) {
    member->gone = true;
    evidence = judge_exit(*member, event.exited());
  }
  if (!evidence || member->left || !weighs_more(*evidence, generation)) return;
  generation.evidence.push_back(std::move(*evidence));
  correct(record, root_cause(generation, *generation.cause()), generation.number);
}

void Engine::on_left(Now now, JobRecord& record, Member& member, const v1::LeftReport& report) {
  if (member.left || member.over()) {
    if (!member.lost || member.kill_sent) return;
    member.lost = false;  // it was only cut off
  }
  Generation& generation = *record.generation;
  if (auto evidence = judge_left(member, report)) {
    fail(now, record, std::move(*evidence));
  } else if (report.agreed() && !generation.departure) {
    generation.departure = Departure::kDrain;
  }
  member.left = report;
  if (generation.broken_up && generation.all_out()) all_out(record.job, record.recovery, now.steady);
}

void Engine::apply(Now now, JobRecord& record, const BreakUp&) {
  Generation& generation = *record.generation;
  generation.broken_up = true;
  const Evidence* cause = generation.cause();
  const v1::Transition& last = record.job.transitions(record.job.transitions_size() - 1);
  const RootCause known =
      cause != nullptr ? root_cause(generation, *cause) : RootCause{last.reason(), last.message(), -1, ""};
  begin_recovery(record.job, record.recovery, generation.number, known,
                 generation.failed_at.value_or(now.steady), now.wall);
  record.recovery.detect_seconds = cause == nullptr ? 0.0 : undetected_seconds(generation, *cause);
  record.restart_cause = known.reason;
  answer(rendezvous_.close(record.id()));
  for (Member& member : generation.members) {
    if (member.out() || !member.connected) continue;
    if (member.culprit) {
      member.kill_sent = true;
      member.asked_at = now.steady;
      send_kill(record, member);
    } else if (!member.finish) {
      member.abandon_sent = member.asked_at = now.steady;
      send_abandon(record, member, known.message);
    }
  }
  if (generation.all_out()) all_out(record.job, record.recovery, now.steady);
  record.mark(JobRecord::Unsaved::kState);
}

// Its agent is back while the generation is being broken up.
void Engine::take_back(Now now, JobRecord& record, Member& member) {
  member.asked_at = now.steady;
  if (member.kill_sent) return send_kill(record, member);
  member.lost = false;
  member.left.reset();  // it will say so again
  member.abandon_sent = now.steady;
  send_abandon(record, member, record.job.message());
}

// What the coordinator had ordered before it was restarted.
void Engine::repeat_order(Now now, JobRecord& record, Member& member) {
  const v1::JobState state = record.state();
  const bool leaves = state == v1::JOB_STATE_PAUSING || state == v1::JOB_STATE_CHECKPOINTING;
  if (!leaves && state != v1::JOB_STATE_CANCELLING) return;
  member.asked_at = now.steady;
  member.stop_sent = !leaves;
  send_stop(record, member, true, leaves);
}

void Engine::apply(Now now, JobRecord& record, const GiveUpPause&) {
  record.remark = Verdict{"CheckpointFailed", "no checkpoint could be written before the pause"};
  record.desired = {};
  record.resized_at = now.steady;
  record.left_alone_until = now.steady + options_.grow_interval;
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::apply(Now now, JobRecord& record, const LoseMembers& action) {
  Generation& generation = *record.generation;
  for (const int rank : action.ranks) generation.member(rank)->lost = true;
  if (generation.all_out()) all_out(record.job, record.recovery, now.steady);
}

void Engine::apply(Now now, JobRecord& record, const Conclude&) {
  Generation& generation = *record.generation;
  all_out(record.job, record.recovery, now.steady);
  generation.concluded = true;
  generation.concluded_at = now.steady;
  record.generation_unsaved = true;
  if (const Evidence* cause = generation.cause()) {
    record.restart_cause = cause->reason;
    record.poison = extend(record.poison, generation);
    if (!cause->joiner) {  // that worker will not do it again
      record.streak = extend(record.streak, record.best_step);
      const auto pause = backoff(record.streak, record.job.spec().recovery());
      if (pause.count() > 0) record.retry_at = now.steady + pause;
    }
  }
  record.mark(JobRecord::Unsaved::kState);
}

void Engine::take_beat(Now now, JobRecord& record, Member& member, const v1::Beat& beat) {
  member.silent = std::chrono::milliseconds(beat.trainer_silent_ms());
  if (beat.phase() == v1::TRAINER_PHASE_UNSPECIFIED)
    return;  // the agent is well, of the trainer it knows nothing
  member.last_heard = now.steady;
  member.compute_seconds = beat.compute_seconds();
  if (member.phase == beat.phase() && member.step == beat.step() &&
      member.entered_reduce == beat.entered_reduce())
    return;
  const bool same_phase = member.phase == beat.phase();
  if (!same_phase && member.phase == v1::TRAINER_PHASE_VALIDATE && ended_by_itself(*record.generation, beat))
    record.measured.phase(member.phase, Seconds(now.steady - member.phase_since).count());
  ++record.version;
  if (!same_phase) member.phase_since = now.steady;
  member.phase = beat.phase();
  member.step = beat.step();
  member.entered_reduce = beat.entered_reduce();
  member.changed_at = now.steady;
}

void Engine::check_hangs(Now now) {
  for (const auto& record : jobs_) {
    if (!may_hang(*record)) continue;
    Generation& generation = *record->generation;
    std::vector<RankView> ranks;
    for (const Member& member : generation.members)
      if (!member.out() && member.connected && !member.missing_since && !member.finish)
        ranks.push_back(view_of(member, now.steady));
    const Bounds bounds = bounds_of(*record);
    show_timeouts(now, *record, bounds);
    const auto hang = find_hang(ranks, bounds);
    if (!hang) continue;
    for (const int rank : hang->culprits) generation.member(rank)->culprit = true;
    fail(now, *record,
         {Evidence::Kind::kHang, hang->rank, hang->reason,
          who(*generation.member(hang->rank)) + " " + hang->message, true, !hang->culprits.empty()});
  }
}

// They change slowly: it is not worth a write of its own.
void Engine::show_timeouts(Now now, JobRecord& record, const Bounds& bounds) {
  if (record.timeouts_shown && now.steady - *record.timeouts_shown < kTimeoutsShown) return;
  record.timeouts_shown = now.steady;
  *record.job.mutable_timeouts() = to_timeouts(bounds, options_.worker_lost_after, options_.lease);
}

void Engine::check_silence(Now now) {
  const bool grace_over = now.steady >= reconnect_until_;
  for (const auto& record : jobs_) {
    if (!record->has_open_generation()) continue;
    for (Member& member : record->generation->members) {
      if (member.over()) continue;
      if (!member.connected) {
        if (!grace_over) continue;
        member.lost = true;
        if (!record->generation->concluded)
          fail(now, *record, worker_lost(member, "it did not come back after the coordinator's restart"));
      } else if (member.missing_since &&
                 now.steady - *member.missing_since >= options_.missing_trainer_wait) {
        member.gone = true;
        if (!member.stop_sent && !record->generation->concluded)
          fail(now, *record,
               {Evidence::Kind::kWorkerLost, member.rank, "TrainerLost",
                "rank " + std::to_string(member.rank) + " on " + member.host +
                    " ended while its agent was away",
                true});
      } else if (now.steady - member.last_heard >= options_.trainer_silent_after && !member.out() &&
                 !record->generation->broken_up) {
        member.last_heard = now.steady;
        member.culprit = true;
        fail(now, *record, trainer_silent(member, options_.trainer_silent_after));
      }
    }
  }
}

}  // namespace mdgen::coordinator
