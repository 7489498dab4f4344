// Engine: who waits for workers and why, and what jobs, workers and the queue look like to people.
#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/queue_text.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {

std::vector<Want> Engine::wants(Now now) const {
  std::vector<Want> wants;
  for (const v1::JobState state : {v1::JOB_STATE_RECOVERING, v1::JOB_STATE_VALIDATING, v1::JOB_STATE_QUEUED})
    for (const auto& record : jobs_)
      if (record->state() == state && record->wants_workers(now.steady)) wants.push_back(record->want());
  for (Want& want : wants) restrict(want);
  const int total = registry_.size().total;
  const bool queued = std::any_of(wants.begin(), wants.end(),
                                  [&](const Want& want) { return want.queued && want.feasible(total); });
  for (Want& want : wants)  // the head of the queue comes before growth
    if (queued && want.former > 0) want.max = std::min(want.max, std::max(want.min, want.former - want.held));
  const auto queue = std::find_if(wants.begin(), wants.end(), [](const Want& want) { return want.queued; });
  std::stable_sort(queue, wants.end(), [](const Want& a, const Want& b) { return a.priority > b.priority; });
  return wants;
}

// Workers that it cannot use, and how many of them count in the pool.
void Engine::restrict(Want& want) const {
  if (want.refused.empty() && want.selector.empty()) return;
  for (const Worker* worker : registry_.all()) {
    if (!has_labels(worker->identity.labels(), want.selector)) want.refused.insert(worker->id);
    if (!want.refused.contains(worker->id)) continue;
    if (!worker->draining) ++want.refused_total;
    if (registry_.is_free(worker->id)) ++want.refused_free;
  }
}

bool Engine::can_use(const JobRecord& record, const Worker& worker) const {
  return !record.refused.contains(worker.id) && has_labels(worker.identity.labels(), record.selector);
}

void Engine::look_at_dependencies(JobRecord& record) {
  if (record.after.empty()) return;
  const auto done = std::erase_if(record.after, [&](Dependency& dependency) {
    const JobRecord* other = find_record(dependency.id);
    if (other != nullptr) dependency.name = other->job.name();
    dependency.state = other == nullptr ? std::nullopt : std::optional(other->state());
    return dependency.state == v1::JOB_STATE_SUCCEEDED;
  });
  if (done > 0) record.mark(JobRecord::Unsaved::kState);
}

bool Engine::explain(JobRecord& record, const std::string& reason, const std::string& message) {
  if (record.job.reason() == reason && record.job.message() == message) return false;
  record.job.set_reason(reason);
  record.job.set_message(message);
  record.mark(JobRecord::Unsaved::kProgress);
  return true;
}

void Engine::explain_waiting(Now now, const std::vector<Want>& wants) {
  PoolFacts facts;
  facts.size = registry_.size();
  facts.having = [&](const Labels& labels) {
    const auto all = registry_.all();
    return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const Worker* worker) {
      return !worker->draining && has_labels(worker->identity.labels(), labels);
    }));
  };
  facts.who = [&](const std::string& id) { return by_id_.at(id)->job.name() + " (" + id + ")"; };
  std::set<const JobRecord*> shown;
  for (const Waiting& waiting : explain_queue(wants, facts)) {
    JobRecord& record = this->record(waiting.job_id);
    const bool examination = record.state() == v1::JOB_STATE_VALIDATING;
    const std::string text =
        examination ? "the examination of the data set " + waiting.message : waiting.message;
    if (record.state() != v1::JOB_STATE_RECOVERING) explain(record, waiting.reason, text);
    show_waiting(now, record, waiting.position, waiting.reason, text);
    shown.insert(&record);
  }
  for (const auto& record : jobs_) {
    if (is_final(record->state()) || shown.contains(record.get())) continue;
    if (record->state() == v1::JOB_STATE_QUEUED && !record->after.empty()) {
      const std::string text = dependencies_text(record->after);
      explain(*record, "WaitingForJob", text);
      show_waiting(now, *record, 0, "WaitingForJob", text);
    } else if (record->state() == v1::JOB_STATE_RECOVERING && record->retry_at &&
               now.steady < *record->retry_at) {
      show_waiting(now, *record, 0, "BackingOff", record->job.message());
    } else if (record->job.has_queue()) {
      record->job.clear_queue();
      record->mark(JobRecord::Unsaved::kProgress);
    }
  }
}

void Engine::show_waiting(Now now, JobRecord& record, int position, const std::string& reason,
                          const std::string& message) {
  v1::QueueInfo& queue = *record.job.mutable_queue();
  if (queue.position() == position && queue.reason() == reason && queue.message() == message) return;
  queue.set_position(position);
  queue.set_reason(reason);
  queue.set_message(message);
  if (!queue.has_since()) *queue.mutable_since() = to_timestamp(now.wall);
  record.mark(JobRecord::Unsaved::kProgress);
}

v1::GetQueueResponse Engine::queue() const {
  std::vector<const JobRecord*> waiting;
  for (const auto& record : jobs_)
    if (record->job.has_queue()) waiting.push_back(record.get());
  const auto place = [](const JobRecord* record) {
    const int position = record->job.queue().position();
    return position > 0 ? position : std::numeric_limits<int>::max();
  };
  std::stable_sort(waiting.begin(), waiting.end(),
                   [&](const JobRecord* a, const JobRecord* b) { return place(a) < place(b); });
  v1::GetQueueResponse response;
  for (const JobRecord* record : waiting) {
    v1::QueueEntry& entry = *response.add_entries();
    entry.set_job_id(record->id());
    entry.set_name(record->job.name());
    entry.set_owner(record->job.owner());
    entry.set_priority(record->job.priority());
    entry.set_min_workers(record->job.spec().workers().min());
    entry.set_max_workers(record->job.spec().workers().max());
    *entry.mutable_queue() = record->job.queue();
  }
  response.set_free_workers(registry_.size().free);
  response.set_total_workers(registry_.size().total);
  return response;
}

}  // namespace mdgen::coordinator
