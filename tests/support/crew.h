// Ranks that live over generations: one Session each, one thread a rank and generation.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/train/session.h"
#include "tests/support/train_run.h"

namespace mdgen::testing {

// MDGEN_TEST_FAULT for a scope.
class PlantedFaults {
 public:
  explicit PlantedFaults(const std::string& faults) { ::setenv("MDGEN_TEST_FAULT", faults.c_str(), 1); }
  ~PlantedFaults() { ::unsetenv("MDGEN_TEST_FAULT"); }
  PlantedFaults(const PlantedFaults&) = delete;
  PlantedFaults& operator=(const PlantedFaults&) = delete;
};

struct CrewMember {
  RecordingObserver observer;
  train::RunControl control;
  int attempt = 1;
  std::unique_ptr<train::Session> session;
};

// Not thread-safe.
class Crew {
 public:
  // Processes that have yet to begin.
  Crew(const v1::JobSpec& spec, Backend backend) : spec_(spec), backend_(std::move(backend)) {
    resize(backend_.world_size);
  }

  // More: new processes at the end. Fewer: the last ones are gone.
  void resize(int world_size) {
    backend_.world_size = world_size;
    while (static_cast<int>(members_.size()) > world_size) members_.pop_back();
    while (static_cast<int>(members_.size()) < world_size) {
      members_.push_back(std::make_unique<CrewMember>());
    }
  }
  // The rank's process has died, a new one takes its place.
  void replace(int rank) {
    const int attempt = (*this)[rank].attempt + 1;
    members_[static_cast<std::size_t>(rank)] = std::make_unique<CrewMember>();
    (*this)[rank].attempt = attempt;
  }
  // The rank's process has died, and the others move up.
  void lose(int rank) {
    members_.erase(members_.begin() + rank);
    backend_.world_size = static_cast<int>(members_.size());
  }
  CrewMember& operator[](int rank) { return *members_.at(static_cast<std::size_t>(rank)); }

  // The next generation: how it ended, by rank. Throws a rank's own failure.
  std::vector<train::SessionEnd> run() {
    std::vector<train::SessionEnd> ends(members_.size());
    const v1::Assignment base = assignment_for(spec_, 0, backend_.world_size, ++generation_);
    run_group_or_throw(backend_, [&](comm::Collective& collective) {
      CrewMember& member = (*this)[collective.rank()];
      v1::Assignment assignment = base;
      assignment.set_rank(collective.rank());
      assignment.set_attempt(member.attempt);
      if (!member.session) {
        member.session = std::make_unique<train::Session>(assignment, at::kCPU, member.observer,
                                                          member.control, clock == nullptr ? clock_ : *clock);
      }
      if (during) during(collective, member);
      ends[static_cast<std::size_t>(collective.rank())] = member.session->run(assignment, collective);
    });
    return ends;
  }

  const Clock* clock = nullptr;  // of the processes that begin from now on, if not the system's
  // Before a rank's part in a generation, on its thread.
  std::function<void(comm::Collective&, CrewMember&)> during;

 private:
  v1::JobSpec spec_;
  Backend backend_;
  SystemClock clock_;
  std::int64_t generation_ = 0;
  std::vector<std::unique_ptr<CrewMember>> members_;
};

}  // namespace mdgen::testing
