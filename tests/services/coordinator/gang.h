// A job of some workers that runs at step 10, in a world of its own.
#pragma once

#include <string>
#include <vector>

#include "tests/services/coordinator/fake_world.h"

namespace mdgen::coordinator::testing {

struct Gang : World {
  explicit Gang(int count = 3, int min = 1, int max = 0) {
    steady += options.reconnect_grace;
    engine->tick(now());
    for (int i = 0; i < count; ++i) workers.push_back(agent("i" + std::to_string(i)));
    id = queued(spec("run", min, max == 0 ? count : max));
    started(workers[0]);
    steps(workers[0], 1, 10);
  }
  const std::string& operator[](std::size_t rank) const { return workers[rank]; }
  void beat(std::size_t rank, v1::TrainerPhase phase, std::int64_t step,
            std::chrono::milliseconds silent = std::chrono::milliseconds(0)) {
    v1::Beat beat;
    beat.set_phase(phase);
    beat.set_step(step);
    beat.set_entered_reduce(phase == v1::TRAINER_PHASE_REDUCE);
    beat.set_trainer_silent_ms(silent.count());
    engine->beat(now(), workers[rank], beat);
  }
  const v1::Recovery& recovery() const { return job(id).recoveries(job(id).recoveries_size() - 1); }

  std::vector<std::string> workers;
  std::string id;
};

}  // namespace mdgen::coordinator::testing
