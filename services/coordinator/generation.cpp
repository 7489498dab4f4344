#include "services/coordinator/generation.h"

#include <signal.h>
#include <string.h>

#include <algorithm>

namespace mdgen::coordinator {

std::string who(const Member& member) {
  return "rank " + std::to_string(member.rank) + " (worker " + member.worker_id + ", " + member.host + ")";
}

namespace {

std::string last_words(const v1::ProcessExit& exit) {
  std::string text;
  for (const auto& line : exit.last_log_lines()) text += "\n  " + line;
  return text.empty() ? text : "; its last words:" + text;
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  const std::string number = std::to_string(signal);
  return name == nullptr ? "signal " + number : "signal " + number + " (SIG" + name + ")";
}

// Trainers report the project's error codes as reasons; these two mean that a peer is gone.
bool is_consequence(const std::string& reason) { return reason == "Unavailable" || reason == "Aborted"; }

// A rank's own failures that may be over at the next attempt.
bool is_passing(const std::string& reason) {
  return reason == "CheckpointFailed" || reason == "MetricsFailed" || reason == "LeaseExpired" ||
         reason == "ReplicaDiverged" || reason == "OutOfMemory";
}

}  // namespace

Member* Generation::member(int rank) {
  return rank >= 0 && rank < static_cast<int>(members.size()) ? &members[static_cast<std::size_t>(rank)]
                                                              : nullptr;
}

const Member* Generation::member(int rank) const { return const_cast<Generation*>(this)->member(rank); }

const Member* Generation::held_by(const std::string& worker_id) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const Member& member) { return member.worker_id == worker_id; });
  return found == members.end() ? nullptr : &*found;
}

const Evidence* Generation::cause() const {
  const auto first = std::min_element(evidence.begin(), evidence.end(),
                                      [](const Evidence& a, const Evidence& b) { return a.kind < b.kind; });
  return first == evidence.end() ? nullptr : &*first;
}

bool Generation::all_over() const {
  return std::all_of(members.begin(), members.end(), [](const Member& member) { return member.over(); });
}

bool Generation::all_out() const {
  return std::all_of(members.begin(), members.end(), [](const Member& member) { return member.out(); });
}

bool Generation::any_left() const {
  return std::any_of(members.begin(), members.end(),
                     [](const Member& member) { return member.gone || member.left; });
}

bool Generation::any_waits() const {
  return std::any_of(members.begin(), members.end(), [](const Member& member) { return member.waits(); });
}

int Generation::usable() const {
  return static_cast<int>(
      std::count_if(members.begin(), members.end(), [](const Member& member) { return member.usable(); }));
}

bool Generation::agreed() const {
  return std::all_of(members.begin(), members.end(),
                     [](const Member& member) { return member.left && member.left->agreed(); });
}

bool Generation::checkpointed() const {
  return std::any_of(members.begin(), members.end(),
                     [](const Member& member) { return member.left && member.left->checkpointed(); });
}

bool Generation::completed() const {
  if (members.empty() || !members[0].finish || members[0].finish->outcome() != v1::OUTCOME_COMPLETED)
    return false;
  return std::all_of(members.begin(), members.end(), [](const Member& member) {
    return member.gone && member.exit_code == 0 && member.signal == 0;
  });
}

std::optional<Evidence> judge_exit(const Member& member, const v1::ProcessExit& exit) {
  Evidence evidence{Evidence::Kind::kTrainerExit, member.rank, "", who(member) + " ", true};
  if (exit.signal() != 0) {
    if (exit.signal() == SIGKILL && member.kill_sent) return std::nullopt;
    evidence.reason = exit.out_of_memory() ? "OutOfMemory" : "TrainerKilled";
    evidence.message += "was ended by " + signal_name(exit.signal());
    if (exit.out_of_memory()) {
      evidence.message += " of the kernel: out of memory";
    } else if (exit.signal() == SIGKILL && !member.injected) {
      evidence.message += ", which nobody here sent";
    }
    if (member.injected) evidence.message += "; a fault was injected";
  } else if (member.finish && member.finish->outcome() == v1::OUTCOME_FAILED) {
    return std::nullopt;  // said already, and better
  } else if (exit.exit_code() != 0) {
    evidence.reason = "TrainerExited";
    evidence.message += "ended with exit status " + std::to_string(exit.exit_code());
  } else if (member.stop_sent || member.kill_sent ||
             (member.finish ? member.finish->outcome() == v1::OUTCOME_COMPLETED : member.rank != 0)) {
    return std::nullopt;
  } else {
    evidence.reason = "TrainerStopped";
    evidence.message += "stopped before the last step without an order";
  }
  evidence.message += last_words(exit);
  return evidence;
}

std::optional<Evidence> judge_finish(const Member& member, const v1::FinishReport& finish) {
  if (finish.outcome() != v1::OUTCOME_FAILED) return std::nullopt;
  const bool consequence = is_consequence(finish.reason());
  return Evidence{consequence ? Evidence::Kind::kCollective : Evidence::Kind::kTrainerFailure,
                  member.rank,
                  finish.reason().empty() ? "TrainerFailed" : finish.reason(),
                  who(member) + " failed: " + finish.message(),
                  consequence || is_passing(finish.reason()),
                  !consequence};
}

std::optional<Evidence> judge_left(const Member& member, const v1::LeftReport& left) {
  if (left.agreed() || member.abandon_sent) return std::nullopt;
  const bool diverged = left.reason() == "ReplicaDiverged";
  return Evidence{diverged ? Evidence::Kind::kTrainerFailure : Evidence::Kind::kCollective,
                  member.rank,
                  left.reason().empty() ? "CollectiveFailed" : left.reason(),
                  who(member) + " left its group: " + left.message(),
                  true,
                  false};
}

Evidence worker_lost(const Member& member, const std::string& how) {
  return {Evidence::Kind::kWorkerLost, member.rank, "WorkerLost", who(member) + " is lost: " + how, true};
}

Evidence trainer_silent(const Member& member, std::chrono::milliseconds silence) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silence).count();
  return {Evidence::Kind::kHang, member.rank, "TrainerSilent",
          who(member) + " gave no sign of life for " + std::to_string(seconds) + " s", true};
}

}  // namespace mdgen::coordinator
