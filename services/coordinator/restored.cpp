#include "services/coordinator/restored.h"

#include <algorithm>

#include "services/coordinator/job_state.h"
#include "services/coordinator/progress.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace {

constexpr std::int64_t kLeastJump = 1'000'000;

bool has_trainers(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_VALIDATING:
    case v1::JOB_STATE_QUEUED:
    case v1::JOB_STATE_PAUSED:
      return false;
    default:
      return !is_final(state);
  }
}

}  // namespace

std::int64_t restored_epoch(std::int64_t epoch, std::chrono::system_clock::time_point made_at,
                            std::chrono::system_clock::time_point now) {
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - made_at).count();
  return epoch + kLeastJump + std::max<std::int64_t>(age, 0);
}

bool restore_job(JobRecord& record, const std::string& when, std::chrono::system_clock::time_point now) {
  if (is_final(record.state())) return false;
  record.last_generation += kRestoredGenerations;
  if (record.generation && record.generation->open) {
    record.generation->open = false;
    record.generation_unsaved = true;
  }
  if (!has_trainers(record.state())) return false;
  v1::Job& job = record.job;
  job.set_state(v1::JOB_STATE_QUEUED);
  job.set_reason("Restored");
  job.set_message("the coordinator was restored from a backup of " + when +
                  ": the job goes on from its newest checkpoint");
  job.set_workers(0);
  v1::Transition& transition = *job.add_transitions();
  transition.set_state(job.state());
  transition.set_reason(job.reason());
  transition.set_message(job.message());
  *transition.mutable_at() = to_timestamp(now);
  keep_newest_transitions(job);
  record.restart_cause = "Restored";
  return true;
}

}  // namespace mdgen::coordinator
