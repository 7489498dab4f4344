#include "services/coordinator/hang.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <utility>

namespace mdgen::coordinator {
namespace {

constexpr double kFloor = 10.0;
constexpr double kLeast = 3.0;  // beats come twice a second, and reach the coordinator once a second
constexpr double kStepFactor = 4.0;
constexpr double kAbortSteps = 3.0;
constexpr double kFirstStepFloor = 60.0;
constexpr double kFirstStep = 600.0;
constexpr double kValidation = 3600.0;
constexpr double kCheckpoint = 1800.0;

void keep(std::deque<double>& values, double value, std::size_t limit) {
  values.push_back(value);
  if (values.size() > limit) values.pop_front();
}

double longest_of(const std::deque<double>& values) {
  return values.empty() ? 0.0 : *std::max_element(values.begin(), values.end());
}

std::string seconds_text(Seconds seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", seconds.count());
  return text;
}

bool inside(const RankView& rank) { return rank.entered_reduce || rank.phase == v1::TRAINER_PHASE_REDUCE; }

std::optional<Hang> find_silent(std::span<const RankView> ranks, const Bounds& bounds) {
  Hang hang;
  for (const RankView& rank : ranks)
    if (rank.phase != v1::TRAINER_PHASE_UNSPECIFIED && rank.silent >= bounds.silent)
      hang.culprits.push_back(rank.rank);
  if (hang.culprits.empty()) return std::nullopt;
  hang.reason = "TrainerSilent";
  hang.rank = hang.culprits.front();
  hang.message = "gave no sign of life for " + seconds_text(bounds.silent) + ": its process is stopped";
  return hang;
}

}  // namespace

void Measured::step(double seconds, int world_size) {
  steps_.push_back({seconds, world_size});
  if (steps_.size() > kSteps) steps_.pop_front();
}

void Measured::first_step(double seconds) { keep(first_steps_, seconds, kPhases); }

void Measured::phase(v1::TrainerPhase phase, double seconds) { keep(phases_[phase], seconds, kPhases); }

double Measured::longest_step(int world_size) const {
  double longest = 0.0;
  for (const Step& step : steps_) {
    const double fewer = static_cast<double>(step.world_size) / std::max(1, world_size);
    longest = std::max(longest, step.seconds * std::max(1.0, fewer));
  }
  return longest;
}

double Measured::longest_first_step() const { return longest_of(first_steps_); }

double Measured::longest(v1::TrainerPhase phase) const {
  const auto found = phases_.find(phase);
  return found == phases_.end() ? 0.0 : longest_of(found->second);
}

Bounds bounds(const Measured& measured, int world_size, double scale, bool stepped, bool steady_validations) {
  const double floor = std::max(kLeast, kFloor * scale);
  const double wider = std::max(1.0, scale);
  const auto bound = [&](double factor, double longest) {
    return Seconds(std::max(floor, factor * longest * wider));
  };
  const auto once_measured = [&](double longest, double before) {
    return longest > 0.0 ? bound(kStepFactor, longest) : Seconds(before * scale);
  };
  const double step = measured.longest_step(world_size);
  const Seconds first =
      std::max(Seconds(kFirstStepFloor * scale), once_measured(measured.longest_first_step(), kFirstStep));
  const Seconds running = stepped ? bound(kStepFactor, step) : std::max(first, bound(kStepFactor, step));
  const Seconds validation =
      once_measured(steady_validations ? measured.longest(v1::TRAINER_PHASE_VALIDATE) : 0.0, kValidation);
  const Seconds checkpoint = once_measured(measured.longest(v1::TRAINER_PHASE_CHECKPOINT), kCheckpoint);

  Bounds result;
  result.silent = Seconds(floor);
  result.abort = step > 0.0 ? bound(kAbortSteps, step) : first;
  result.phase.fill(running);
  const auto set = [&](v1::TrainerPhase phase, Seconds value) {
    result.phase[static_cast<std::size_t>(phase)] = value;
  };
  set(v1::TRAINER_PHASE_INIT, first);
  set(v1::TRAINER_PHASE_HEAL, first);
  set(v1::TRAINER_PHASE_WAIT, first);
  set(v1::TRAINER_PHASE_VALIDATE, std::max(running, validation));
  set(v1::TRAINER_PHASE_CHECKPOINT, std::max(running, checkpoint));
  return result;
}

Measured measured_before(const v1::Timeouts& shown, int world_size, double scale) {
  Measured measured;
  const double wider = std::max(1.0, scale);
  const auto shown_of = [&](v1::TrainerPhase phase) {
    const auto found = shown.phase_seconds().find(phase_name(phase));
    return found == shown.phase_seconds().end() ? 0.0 : found->second;
  };
  const double first = shown_of(v1::TRAINER_PHASE_INIT);
  // Without a measured step an abort has the time of a first step.
  if (const double abort = shown.abort_seconds(); abort > 0.0 && abort != first) {
    const double compute = shown_of(v1::TRAINER_PHASE_COMPUTE);
    measured.step(std::min(abort / kAbortSteps, compute > 0.0 ? compute / kStepFactor : abort) / wider,
                  world_size);
  }
  if (first > 0.0 && first != kFirstStep * scale) measured.first_step(first / kStepFactor / wider);
  for (const auto& [phase, before] : {std::pair{v1::TRAINER_PHASE_VALIDATE, kValidation},
                                      std::pair{v1::TRAINER_PHASE_CHECKPOINT, kCheckpoint}}) {
    const double bound = shown_of(phase);
    if (bound > 0.0 && bound < before * scale) measured.phase(phase, bound / kStepFactor / wider);
  }
  return measured;
}

v1::Timeouts to_timeouts(const Bounds& bounds, Seconds worker_lost, Seconds lease) {
  v1::Timeouts timeouts;
  timeouts.set_worker_lost_seconds(worker_lost.count());
  timeouts.set_trainer_silent_seconds(bounds.silent.count());
  timeouts.set_abort_seconds(bounds.abort.count());
  timeouts.set_lease_seconds(lease.count());
  for (const v1::TrainerPhase phase :
       {v1::TRAINER_PHASE_INIT, v1::TRAINER_PHASE_DATA, v1::TRAINER_PHASE_COMPUTE, v1::TRAINER_PHASE_REDUCE,
        v1::TRAINER_PHASE_VALIDATE, v1::TRAINER_PHASE_CHECKPOINT, v1::TRAINER_PHASE_HEAL})
    (*timeouts.mutable_phase_seconds())[phase_name(phase)] = bounds.of(phase).count();
  return timeouts;
}

std::optional<Hang> find_hang(std::span<const RankView> ranks, const Bounds& bounds) {
  if (ranks.empty()) return std::nullopt;
  if (auto silent = find_silent(ranks, bounds)) return silent;
  const auto longer = [](const RankView& a, const RankView& b) { return a.unchanged < b.unchanged; };
  const RankView& newest = *std::min_element(ranks.begin(), ranks.end(), longer);
  const RankView& oldest = *std::max_element(ranks.begin(), ranks.end(), longer);

  Hang hang;
  const RankView* first = nullptr;
  bool all_over = true;  // over the bound of the phase that each is in
  for (const RankView& rank : ranks) {
    const bool over = rank.unchanged >= bounds.of(rank.phase);
    all_over &= over;
    if (inside(rank) || !over) continue;
    hang.culprits.push_back(rank.rank);
    if (first == nullptr) first = &rank;
  }
  // Those inside wait for the others; without any, one that still makes progress may be on its way there.
  const bool waited_for =
      std::any_of(ranks.begin(), ranks.end(), [](const RankView& r) { return inside(r); });
  if (first == nullptr) {
    if (!all_over) return std::nullopt;
    hang.reason = "NetworkHang";
    hang.rank = oldest.rank;
    hang.message = "and all others have been in the reduction of step " + std::to_string(oldest.step) +
                   " for " + seconds_text(newest.unchanged) + ": the network does not carry it";
    return hang;
  }
  if (!waited_for && !all_over) return std::nullopt;
  hang.reason = "Hang";
  hang.rank = first->rank;
  hang.message = "has been in phase " + phase_name(first->phase) + " of step " + std::to_string(first->step) +
                 " for " + seconds_text(first->unchanged) + ", longer than the " +
                 seconds_text(bounds.of(first->phase)) + " allowed";
  if (hang.culprits.size() == ranks.size()) {
    if (ranks.size() > 1) hang.message += "; so have all others";
    hang.culprits.clear();
  }
  return hang;
}

std::string phase_name(v1::TrainerPhase phase) {
  static constexpr std::string_view kPrefix = "TRAINER_PHASE_";
  const std::string& name = v1::TrainerPhase_Name(phase);
  std::string text = name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace mdgen::coordinator
