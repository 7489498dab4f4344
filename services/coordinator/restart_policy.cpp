#include "services/coordinator/restart_policy.h"

#include <algorithm>
#include <cmath>

#include "core/base/restart_kinds.h"

namespace mdgen::coordinator {
namespace {

constexpr double kLongestBackoff = 60.0;
constexpr int kPoisonAfter = 3;
constexpr int kMaxRestarts = 100;

bool ends_a_process(const Evidence& cause) {
  return cause.named && !cause.joiner &&
         (cause.kind == Evidence::Kind::kTrainerExit || cause.kind == Evidence::Kind::kTrainerFailure);
}

}  // namespace

std::string restart_kind(const Evidence& cause) {
  if (!cause.restartable) return "";
  if (cause.joiner) return "worker_lost";
  if (cause.reason == "OutOfMemory") return "out_of_memory";
  if (cause.reason == "ReplicaDiverged") return "diverged";
  switch (cause.kind) {
    case Evidence::Kind::kTrainerExit:
      return cause.reason == "TrainerKilled" ? "killed" : "exited";
    case Evidence::Kind::kTrainerFailure:
      return "output";
    case Evidence::Kind::kWorkerLost:
      return "worker_lost";
    case Evidence::Kind::kHang:
      return "hang";
    case Evidence::Kind::kCollective:
      return "collective";
  }
  return "";
}

FailureStreak extend(const FailureStreak& streak, std::int64_t best_step) {
  FailureStreak next = streak;
  if (best_step > streak.best_step) next.failures = 0;
  next.best_step = std::max(best_step, streak.best_step);
  ++next.failures;
  return next;
}

PoisonWatch extend(const PoisonWatch& watch, const Generation& generation) {
  const Evidence* cause = generation.cause();
  if (cause == nullptr || !ends_a_process(*cause) || generation.members.empty() ||
      !generation.members[0].started)
    return watch;
  const Member* culprit = generation.member(cause->rank);
  if (culprit != nullptr && culprit->injected) return watch;
  const std::int64_t step = std::max(generation.last_step, culprit == nullptr ? 0 : culprit->step);
  return {step, watch.step == step ? watch.times + 1 : 1};
}

std::chrono::milliseconds backoff(const FailureStreak& streak, const v1::RecoverySpec& spec) {
  if (streak.failures < 2) return std::chrono::milliseconds(0);
  const double first = spec.has_backoff_seconds() ? spec.backoff_seconds() : 1.0;
  const double seconds = std::min(kLongestBackoff, first * std::exp2(std::min(streak.failures - 2, 20)));
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000.0));
}

std::optional<Verdict> not_restartable(const Evidence& cause, const v1::RecoverySpec& spec) {
  if (!cause.restartable) return Verdict{cause.reason, cause.message};
  const std::vector<std::string> words = words_of(spec.restart_on());
  const auto named = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const std::string kind = restart_kind(cause);
  if (words.empty() || named("all") || named(kind)) return std::nullopt;
  return Verdict{cause.reason, cause.message + "; recovery.restart_on does not name " + kind};
}

std::optional<Verdict> exhausted(const Evidence& cause, const v1::RecoverySpec& spec, int restarts,
                                 const FailureStreak& streak, int most_without_progress,
                                 const PoisonWatch& poison, const std::string& samples) {
  const int poison_after = spec.has_poison_after() ? spec.poison_after() : kPoisonAfter;
  if (poison_after > 0 && poison.times >= poison_after)
    return Verdict{"PoisonStep", "step " + std::to_string(poison.step) + " has ended a trainer's process " +
                                     std::to_string(poison.times) + " times in a row" +
                                     (samples.empty() ? "" : "; its samples: " + samples) +
                                     "; the last time: " + cause.message};
  const int most = spec.has_max_restarts() ? spec.max_restarts() : kMaxRestarts;
  if (restarts >= most)
    return Verdict{cause.reason, cause.message + "; given up after " + std::to_string(restarts) +
                                     " restarts (recovery.max_restarts)"};
  if (streak.failures > most_without_progress)
    return Verdict{cause.reason, cause.message + "; given up after " + std::to_string(streak.failures - 1) +
                                     " restarts without progress"};
  return std::nullopt;
}

}  // namespace mdgen::coordinator
