// The engine's constants in one place; a test may turn each.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"
#include "services/coordinator/retention.h"

namespace mdgen::coordinator {

class Telemetry;

struct EngineOptions {
  std::chrono::milliseconds worker_lost_after{5000};  // without a beat
  std::chrono::milliseconds reconnect_grace{10000};   // after a start, for agents that were there before
  std::chrono::milliseconds lease{600000};            // renewed when a third of it has passed
  double lease_margin = 1.1;                          // the trainer counts from its receipt, by its own clock
  std::chrono::milliseconds exit_wait{5000};          // for the exits of trainers, when a job ends
  std::chrono::milliseconds kill_wait{1000};          // for a killed trainer's exit, when it recovers
  std::chrono::milliseconds cause_wait{2000};         // evidence may still correct the cause
  std::chrono::milliseconds trainer_silent_after{600000};
  std::chrono::milliseconds missing_trainer_wait{
      3000};                                      // an agent came back without it: its last words may come
  std::chrono::milliseconds save_interval{1000};  // of progress and ledger; state is saved at once
  // Between two ticks; more was a pause of our own (a slow disk, a stopped process): nobody's silence.
  std::chrono::milliseconds own_pause{2000};
  // Committed steps that are not stored yet; agents repeat the last 64 reports after a lost connection.
  std::int64_t unsaved_steps = 32;
  int max_examinations = 5;               // of one job's data set, when workers are lost meanwhile
  int max_restarts_without_progress = 5;  // in a row, whatever the causes
  // A trainer that was asked to write what it holds, before it is killed; and a pre-emption's checkpoint.
  std::chrono::milliseconds checkpoint_wait{120000};
  std::chrono::milliseconds grow_interval{60000};  // between changes of a job's workers
  Telemetry* telemetry = nullptr;                  // told of what happens in runs; must outlive the engine
  std::chrono::seconds expiry_grace{60};           // for the checkpoint of a job whose deadline has passed
  Retention retention{};                           // of jobs that have ended
  // The samples of a step, for people: of a job with this spec and manifest. None: they are not named.
  std::function<std::string(const v1::JobSpec&, const v1::JobManifest&, std::int64_t step)> step_samples{};
};

}  // namespace mdgen::coordinator
