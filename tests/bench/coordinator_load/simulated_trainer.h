// What a trainer says to its agent in the course of a run, without the run. No clock, no I/O.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/base/clock.h"
#include "mdgen/v1/trainer_service.pb.h"
#include "mdgen/v1/worker_service.pb.h"
#include "tests/bench/coordinator_load/options.h"

namespace mdgen::load {

struct Say {
  v1::TrainerMessage message;
};
struct Post {  // a rendezvous; exchanged() follows
  v1::ExchangeRequest request;
};
struct End {  // of the process
  v1::ProcessExit exit;
};
using Act = std::variant<Say, Post, End>;

// By job: the newest checkpoint's step, as trainers would find it in the run folder.
using Checkpoints = std::map<std::string, std::int64_t>;

// hello -> (assignment) its collective's rendezvous -> started (rank 0) -> steps and checkpoints (rank 0)
// -> (stop) checkpoint, finished, exit; or (abandon, stop with yield, superseded) left -> (assignment) the
// same again, from the step that it holds. Not thread-safe.
class SimulatedTrainer {
 public:
  SimulatedTrainer(const LoadOptions& options, Checkpoints& checkpoints)
      : options_(options), checkpoints_(checkpoints) {}

  std::vector<Act> start();
  std::vector<Act> order(const v1::AgentOrder& order, Clock::Steady now);
  std::vector<Act> exchanged(bool good, Clock::Steady now);
  std::vector<Act> tick(Clock::Steady now);
  std::vector<Act> crash(int signal);

  Clock::Steady wake_at() const { return next_step_; }
  bool training() const { return training_; }
  const v1::GenerationId& id() const { return id_; }
  int rank() const { return rank_; }

 private:
  Act next_post();
  Act say_checkpoint();
  std::vector<Act> stop(const v1::StopOrder& order);
  std::vector<Act> leave(bool agreed, bool checkpointed);
  std::vector<Act> train(Clock::Steady now);
  std::vector<Act> finish(v1::Outcome outcome, const std::string& reason, int exit_code);

  const LoadOptions& options_;
  Checkpoints& checkpoints_;
  v1::GenerationId id_;
  int rank_ = -1;
  int world_size_ = 0;
  std::string run_folder_;
  std::size_t posts_ = 0;
  std::int64_t step_ = 0;
  bool training_ = false;
  bool waiting_ = false;   // has left its generation
  bool resident_ = false;  // has been in one
  Clock::Steady next_step_ = Clock::Steady::max();
};

}  // namespace mdgen::load
