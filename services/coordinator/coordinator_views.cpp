// Coordinator: what clients look at.
#include <algorithm>
#include <charconv>
#include <limits>

#include "core/base/error.h"
#include "core/base/labels.h"
#include "services/coordinator/coordinator_turn.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

// Jobs stand in their order for ever, whatever is deleted between two pages.
std::int64_t place_of(const std::string& page_token) {
  std::int64_t place = 0;
  const char* const end = page_token.data() + page_token.size();
  const auto [stop, error] = std::from_chars(page_token.data(), end, place);
  if (error != std::errc() || stop != end || place < 1)
    throw Error(ErrorCode::kInvalidArgument, "page_token: \"" + page_token + "\" is not one of ours");
  return place;
}

struct Filter {
  explicit Filter(const v1::ListJobsRequest& request)
      : asked(request), labels(parse_labels("labels", request.labels())) {}

  bool takes(const v1::Job& job) const {
    const auto& states = asked.states();
    return (states.empty() || std::find(states.begin(), states.end(), job.state()) != states.end()) &&
           job.name().starts_with(asked.name_prefix()) &&
           (asked.owner().empty() || job.owner() == asked.owner()) && has_labels(job.labels(), labels);
  }

  const v1::ListJobsRequest& asked;
  Labels labels;
};

int page_size(int asked, int standard, int most) {
  if (asked < 0) throw Error(ErrorCode::kInvalidArgument, "page_size: must be at least 0");
  return asked == 0 ? standard : std::min(asked, most);
}

}  // namespace

v1::Job Coordinator::job(const std::string& id_or_name) const {
  const std::lock_guard lock(mutex_);
  return engine_.view(engine_.job(id_or_name), now());
}

Watched Coordinator::watch(const std::string& id_or_name, std::uint64_t seen) const {
  const std::lock_guard lock(mutex_);
  const JobRecord& record = engine_.job(id_or_name);
  Watched watched{record.version, std::nullopt, is_final(record.state())};
  if (record.version != seen) watched.job = engine_.view(record, now());
  return watched;
}

v1::ListJobsResponse Coordinator::list(const v1::ListJobsRequest& request) const {
  const int size = page_size(request.page_size(), 100, 1000);
  const Filter filter(request);
  const std::int64_t before = request.page_token().empty() ? std::numeric_limits<std::int64_t>::max()
                                                           : place_of(request.page_token());
  const std::lock_guard lock(mutex_);
  const auto jobs = engine_.jobs();
  v1::ListJobsResponse response;
  std::int64_t last = 0;
  for (auto next = jobs.rbegin(); next != jobs.rend(); ++next) {
    const JobRecord& record = **next;
    if (record.ordinal >= before || !filter.takes(record.job)) continue;
    if (response.jobs_size() == size) {
      response.set_next_page_token(std::to_string(last));
      break;
    }
    v1::Job& job = *response.add_jobs();
    job = record.job;
    job.clear_spec();
    job.clear_transitions();
    job.clear_recoveries();
    last = record.ordinal;
  }
  return response;
}

v1::ListEventsResponse Coordinator::events(const v1::ListEventsRequest& request) {
  const int size = page_size(request.page_size(), static_cast<int>(JobEvents::kKept), JobEvents::kKept);
  const Turn turn(*this);
  commit(true);
  const JobRecord& record = engine_.job(request.id());
  v1::ListEventsResponse response;
  for (v1::JobEvent& event : store_->events(record.id(), request.after_sequence(), size))
    *response.add_events() = std::move(event);
  response.set_dropped(record.events.dropped());
  return response;
}

v1::ListWorkersResponse Coordinator::workers() const {
  const std::lock_guard lock(mutex_);
  v1::ListWorkersResponse response;
  for (const Worker* worker : engine_.workers()) *response.add_workers() = engine_.view(*worker, now());
  return response;
}

v1::GetQueueResponse Coordinator::queue() const {
  const std::lock_guard lock(mutex_);
  return engine_.queue();
}

std::string Coordinator::metrics() {
  MetricsView view;
  {
    const std::lock_guard lock(mutex_);
    view = view_of(engine_.jobs(), engine_.workers(), now());
    view.store_fails = store_failing_since_.has_value();
  }
  return metrics_.text(view);
}

std::optional<v1::Job> Coordinator::wait(const std::string& id, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::string key = engine_.job(id).id();
  std::optional<v1::Job> ended;
  changed_.wait_for(lock, timeout, [&] {  // it may be deleted meanwhile
    const JobRecord* record = engine_.find(key);
    if (record != nullptr && is_final(record->state())) ended = record->job;
    return ended || record == nullptr || stopping_;
  });
  return ended;
}

LogRange Coordinator::logs(const std::string& id_or_name) const {
  const std::lock_guard lock(mutex_);
  const JobRecord& record = engine_.job(id_or_name);
  LogRange range{record.job.run_folder(), record.earlier_attempts + 1, std::numeric_limits<int>::max(),
                 is_final(record.state())};
  bool later = false;
  for (const JobRecord* other : engine_.jobs()) {
    if (later && other->job.run_folder() == record.job.run_folder())
      range.last_attempt = std::min(range.last_attempt, other->earlier_attempts);
    later |= other == &record;
  }
  return range;
}

v1::StreamLedgerResponse Coordinator::ledger_head(const std::string& id_or_name, bool with_inputs) {
  const Turn turn(*this);
  commit(true);
  const v1::Job& job = engine_.job(id_or_name).job;
  const bool trained = job.state() == v1::JOB_STATE_SUCCEEDED && !job.spec().loop().validate();
  v1::StreamLedgerResponse head;
  *head.mutable_job() = job;
  head.mutable_job()->clear_transitions();
  head.set_end_step(trained ? job.total_steps() : job.step());
  if (with_inputs) {
    *head.mutable_manifest() = store_->manifest(job.id());
  } else {
    head.mutable_job()->clear_spec();
  }
  return head;
}

ledger::Records Coordinator::ledger(const std::string& id, std::int64_t first_sequence, int limit) const {
  const std::lock_guard lock(mutex_);
  return store_->ledger(id, first_sequence, limit);
}

}  // namespace mdgen::coordinator
