#include "services/coordinator/metrics_view.h"

#include <chrono>

#include "services/coordinator/job_state.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace {

double seconds_since_1970(const google::protobuf::Timestamp& at) {
  return std::chrono::duration<double>(to_wall(at).time_since_epoch()).count();
}

bool is_shown(const v1::Job& job, Clock::Wall now) {
  if (job.generation() == 0) return false;
  return !job.has_ended_at() || now - to_wall(job.ended_at()) < kEndedStay;
}

MetricsView::Job view_of(const JobRecord& record) {
  const v1::Job& job = record.job;
  MetricsView::Job view;
  view.id = job.id();
  view.name = job.name();
  if (job.has_loss()) view.loss = job.loss();
  if (job.has_val_loss()) view.val_loss = job.val_loss();
  if (job.has_last_step_at()) view.last_step_at = seconds_since_1970(job.last_step_at());
  view.step = static_cast<double>(job.step());
  view.total_steps = static_cast<double>(job.total_steps());
  view.epoch = job.epoch();
  view.eta_seconds = job.eta_seconds();
  view.goodput_ratio = job.goodput_ratio();
  if (!record.has_open_generation() || is_final(job.state())) return view;  // it goes at no pace
  view.tokens_per_second = job.tokens_per_second();
  view.samples_per_second = job.samples_per_second();
  view.flops_per_second = job.flops_per_second();
  view.ceiling_ratio = job.ceiling_ratio();
  view.workers = job.workers();
  for (const Member& member : record.generation->members)
    view.ranks.push_back(record.run.stragglers.of(member.rank));
  return view;
}

}  // namespace

std::set<std::string> MetricsView::job_ids() const {
  std::set<std::string> ids;
  for (const Job& job : jobs) ids.insert(job.id);
  return ids;
}

MetricsView view_of(const std::vector<const JobRecord*>& jobs, const std::vector<const Worker*>& workers,
                    Now now) {
  MetricsView view;
  for (int state = v1::JOB_STATE_VALIDATING; state <= v1::JOB_STATE_CANCELLED; ++state)
    view.jobs_by_state[state_name(static_cast<v1::JobState>(state))] = 0;
  for (const JobRecord* record : jobs) {
    ++view.jobs_by_state[state_name(record->state())];
    if (record->state() == v1::JOB_STATE_QUEUED) ++view.queued;
    if (is_shown(record->job, now.wall)) view.jobs.push_back(view_of(*record));
  }
  view.workers_by_state = {{"FREE", 0}, {"BUSY", 0}, {"EXAMINING", 0}, {"DRAINING", 0}};
  for (const Worker* worker : workers) {
    ++view.workers_by_state[state_name(*worker)];
    const double age = std::chrono::duration<double>(now.steady - worker->last_beat).count();
    view.workers.push_back({worker->id, worker->identity.host(), worker->identity.device(), age});
  }
  return view;
}

}  // namespace mdgen::coordinator
