// All that the coordinator knows of one job: what was asked for (desired) apart from what is (observed).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/ledger/writer.h"
#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/manifest.pb.h"
#include "services/coordinator/generation.h"
#include "services/coordinator/progress.h"
#include "services/coordinator/scheduler.h"

namespace mdgen::coordinator {

struct Desired {
  enum class Goal { kRun, kCancel };
  Goal goal = Goal::kRun;
  std::chrono::seconds grace{60};         // of a cancel; 0: kill at once
  std::optional<Clock::Steady> deadline;  // of a cancel: then the trainers are killed
};

// What validation found.
struct Validated {
  v1::JobManifest manifest;
  std::vector<std::string> warnings;
  std::string plan_digest;
  std::int64_t total_steps = 0;
};

// An examination of the data set on a worker that has not ended.
struct Examination {
  std::string worker_id;
  std::int64_t attempt = 0;
  std::string received;  // parts of a serialized v1::Preflight
};

// Failures in a row without progress.
struct FailureStreak {
  std::string reason;          // of the last
  std::int64_t best_step = 0;  // the highest step reached before it
  int same_reason = 0;
  int any_reason = 0;
};

struct JobRecord {
  enum class Unsaved { kNothing, kProgress, kState };

  v1::Job job;  // as people see it, the spec included
  std::string request_id;
  Desired desired;

  bool validating = false;  // the builder has been asked
  std::optional<Examination> examination;
  std::int64_t examinations = 0;  // begun on workers since the coordinator's start
  v1::JobManifest manifest;
  std::string plan_digest;

  std::optional<Generation> generation;  // the newest
  std::int64_t last_generation = 0;      // the highest number used in the run folder, by earlier jobs too
  std::map<int, int> attempts;           // by rank: processes started
  int earlier_attempts = 0;              // by earlier jobs in the same run folder
  std::int64_t best_step = 0;            // the highest ever reported
  FailureStreak streak;
  std::string restart_cause;  // why the newest generation was opened; empty for the first

  Pace pace;
  ledger::Writer ledger;
  Unsaved unsaved = Unsaved::kNothing;
  bool generation_unsaved = false;
  bool manifest_unsaved = false;

  const std::string& id() const { return job.id(); }
  v1::JobState state() const { return job.state(); }
  bool cancelling() const { return desired.goal == Desired::Goal::kCancel; }
  bool has_open_generation() const { return generation && generation->open; }
  bool examined_by_worker() const { return job.spec().data().preflight() == "worker"; }
  bool wants_examiner() const {
    return state() == v1::JOB_STATE_VALIDATING && examined_by_worker() && !validating && !examination;
  }
  bool wants_workers() const {
    if (cancelling() || has_open_generation()) return false;
    return wants_examiner() || state() == v1::JOB_STATE_QUEUED || state() == v1::JOB_STATE_RECOVERING;
  }
  Want want() const {
    if (wants_examiner()) return {id(), 1, 1};
    return {id(), job.spec().workers().min(), job.spec().workers().max()};
  }
  void mark(Unsaved what) {
    if (what > unsaved) unsaved = what;
  }
};

}  // namespace mdgen::coordinator
