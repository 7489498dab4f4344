// Whether a generation hangs, and who is to blame: pure functions over what its ranks last said of
// themselves (protocol: a synchronous job stops everywhere at once, so the culprit is the rank that has not
// entered the reduction in which the others wait). All times are the coordinator's own.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/run.pb.h"

namespace mdgen::coordinator {

using Seconds = std::chrono::duration<double>;

// How long things took so far in a job. Steps are kept with their world size: fewer ranks need longer.
class Measured {
 public:
  static constexpr std::size_t kSteps = 64;   // of which the longest counts
  static constexpr std::size_t kPhases = 16;  // likewise

  void step(double seconds, int world_size);
  void first_step(double seconds);  // from a generation's opening to its first step
  void phase(v1::TrainerPhase phase, double seconds);

  // The longest; 0: nothing known. A step that was taken by more ranks counts in proportion.
  double longest_step(int world_size) const;
  double longest_first_step() const;
  double longest(v1::TrainerPhase phase) const;

 private:
  struct Step {
    double seconds;
    int world_size;
  };
  std::deque<Step> steps_;
  std::deque<double> first_steps_;
  std::map<v1::TrainerPhase, std::deque<double>> phases_;
};

// What is waited for before something counts as hung.
struct Bounds {
  Seconds silent{};  // a trainer without a beat: its process is stopped
  Seconds abort{};   // a survivor that does not leave its generation
  std::array<Seconds, v1::TrainerPhase_ARRAYSIZE> phase{};  // without progress

  Seconds of(v1::TrainerPhase which) const { return phase[static_cast<std::size_t>(which)]; }
};

// `scale` is recovery.timeout_scale. Everything is at least 10 s x scale, and 3 s; a step's phases are 4
// times the longest step, an abort 3 times, or as long as a first step while none is measured; before a
// generation's first step, and while validations and checkpoints are not measured, the bounds are generous
// (600 s, 3600 s, 1800 s, x scale). A first step has 60 s x scale at least, since a new process starts cold.
// `steady_validations`: all of them do the same work.
Bounds bounds(const Measured& measured, int world_size, double scale, bool stepped, bool steady_validations);

// What bounds that were shown, and stored, say of the times behind them: at least as long as those were.
Measured measured_before(const v1::Timeouts& shown, int world_size, double scale);

v1::Timeouts to_timeouts(const Bounds& bounds, Seconds worker_lost, Seconds lease);

// A rank of a generation that has neither ended nor left.
struct RankView {
  int rank = 0;
  v1::TrainerPhase phase = v1::TRAINER_PHASE_UNSPECIFIED;
  std::int64_t step = 0;
  bool entered_reduce = false;
  Seconds silent{};     // its agent has not heard of it; counts from its first beat on
  Seconds unchanged{};  // it says the same of itself
};

struct Hang {
  std::string reason;         // TrainerSilent, Hang, NetworkHang
  std::vector<int> culprits;  // to be killed; empty: nobody can be singled out, all leave and meet again
  int rank = 0;               // the first culprit, or who has been waiting longest
  std::string message;        // without the name of the rank
};

std::optional<Hang> find_hang(std::span<const RankView> ranks, const Bounds& bounds);

// "compute"
std::string phase_name(v1::TrainerPhase phase);

}  // namespace mdgen::coordinator
