// All that the coordinator knows of one job: what was asked for (desired) apart from what is (observed).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/ledger/writer.h"
#include "mdgen/v1/job.pb.h"
#include "mdgen/v1/manifest.pb.h"
#include "services/coordinator/dependencies.h"
#include "services/coordinator/generation.h"
#include "services/coordinator/hang.h"
#include "services/coordinator/job_events.h"
#include "services/coordinator/progress.h"
#include "services/coordinator/recovery_log.h"
#include "services/coordinator/restart_policy.h"
#include "services/coordinator/scheduler.h"

namespace mdgen::coordinator {

struct Desired {
  enum class Goal { kRun, kCancel, kPause, kExpire };  // their numbers are stored
  Goal goal = Goal::kRun;
  std::chrono::seconds grace{60};         // of a cancel, pause or expiry; 0: kill at once
  std::optional<Clock::Steady> deadline;  // likewise: then the trainers are killed
};

// What validation found.
struct Validated {
  v1::JobManifest manifest;
  std::vector<std::string> warnings;
  std::string plan_digest;
  std::int64_t total_steps = 0;
  std::int32_t total_epochs = 0;
};

// An examination of the data set on a worker that has not ended.
struct Examination {
  std::string worker_id;
  std::int64_t attempt = 0;
  std::string received;  // parts of a serialized v1::Preflight
};

struct JobRecord {
  enum class Unsaved { kNothing, kProgress, kState };

  v1::Job job;  // as people see it, the spec included
  std::string request_id;
  Desired desired;
  std::int64_t ordinal = 0;  // counts the jobs, in the order of their submission
  // Jobs that have not succeeded yet and that it waits for.
  std::vector<Dependency> after;
  Labels selector;                          // of its workers
  std::optional<Clock::Steady> expires_at;  // job.deadline
  std::uint64_t version = 1;                // changes whenever people would see something new
  JobEvents events;

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
  PoisonWatch poison;
  std::string restart_cause;              // why the newest generation was opened; empty for the first
  std::optional<Clock::Steady> retry_at;  // of a back-off
  // What failed before the newest generation opened, for evidence that comes late.
  std::optional<Generation> previous;
  RecoveryClock recovery;
  Measured measured;
  std::set<std::string> proven;   // workers that were in a generation which stepped
  std::set<std::string> refused;  // workers that cannot do its work, and get none of it any more
  std::optional<Clock::Steady> timeouts_shown;
  Clock::Steady resized_at{};        // when the newest generation opened
  std::optional<int> cap;            // of the next generation's members
  Clock::Steady left_alone_until{};  // nobody takes its workers before, after a checkpoint that failed
  std::optional<Verdict> remark;     // what RUNNING says next, in place of "Started"

  RunPace run;
  ledger::Writer ledger;
  Unsaved unsaved = Unsaved::kNothing;
  bool generation_unsaved = false;
  bool manifest_unsaved = false;

  const std::string& id() const { return job.id(); }
  v1::JobState state() const { return job.state(); }
  // It is to end, by a cancel or at its deadline.
  bool cancelling() const { return desired.goal == Desired::Goal::kCancel || expiring(); }
  bool expiring() const { return desired.goal == Desired::Goal::kExpire; }
  bool pausing() const { return desired.goal == Desired::Goal::kPause; }
  v1::GenerationId generation_id() const {  // of the newest
    v1::GenerationId id;
    id.set_job_id(job.id());
    id.set_generation(generation->number);
    return id;
  }
  bool has_open_generation() const { return generation && generation->open; }
  bool examined_by_worker() const { return job.spec().data().preflight() == "worker"; }
  bool wants_examiner() const {
    return state() == v1::JOB_STATE_VALIDATING && examined_by_worker() && !validating && !examination;
  }
  bool wants_workers(Clock::Steady now) const {
    if (desired.goal != Desired::Goal::kRun && state() != v1::JOB_STATE_VALIDATING) return false;
    if (state() != v1::JOB_STATE_RECOVERING)
      return !cancelling() && !has_open_generation() &&
             (wants_examiner() || (state() == v1::JOB_STATE_QUEUED && after.empty()));
    return !has_open_generation() ||
           (generation->concluded && generation->all_out() && (!retry_at || now >= *retry_at));
  }
  // The most members that its next generation may have.
  int most_workers() const {
    const int max = job.spec().workers().max();
    return cap ? std::clamp(*cap, job.spec().workers().min(), max) : max;
  }
  // Of workers that it does not have yet.
  Want want() const;
  void mark(Unsaved what) {
    ++version;
    if (what > unsaved) unsaved = what;
  }
};

}  // namespace mdgen::coordinator
