// Coordinator: what clients ask for.
#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/spec.h"
#include "services/coordinator/coordinator_turn.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

[[noreturn]] void not_yet(const char* what) {
  throw Error(ErrorCode::kUnimplemented, std::string(what) + " does not work yet");
}

}  // namespace

v1::Job Coordinator::submit(const access::Caller&, const v1::JobSpec& resolved, const std::string& request_id,
                            bool validate_only) {
  if (validate_only) throw Error(ErrorCode::kUnimplemented, "validate_only does not work yet");
  const auto earlier = [&]() -> const v1::Job* {
    const v1::Job* job = engine_.find_request(request_id);
    if (job != nullptr) commit();  // the first answer may have been that it could not be stored
    return job;
  };
  {
    const Turn turn(*this);
    if (const v1::Job* job = earlier()) return *job;
  }
  config::check(resolved);
  const Turn turn(*this);
  if (const v1::Job* job = earlier()) return *job;
  const FolderFacts facts = inspect_run_folder(resolved, options_.run_roots);
  engine_.check_folder(resolved, facts);
  prepare_run_folder(facts.folder, resolved);
  const std::string id = engine_.submit(now(), resolved, request_id, facts).id();
  commit();
  spdlog::info("job {} ({}) submitted, run folder {}", id, resolved.name(), facts.folder.string());
  return engine_.job(id).job;
}

v1::Job Coordinator::cancel(const access::Caller&, const std::string& id_or_name,
                            std::chrono::seconds grace) {
  if (grace.count() < 0) throw Error(ErrorCode::kInvalidArgument, "grace_seconds: must be at least 0");
  const Turn turn(*this);
  const std::string id = engine_.cancel(now(), id_or_name, grace).id();
  commit();
  return engine_.job(id).job;
}

v1::Job Coordinator::pause(const access::Caller&, const std::string& id_or_name, std::chrono::seconds grace) {
  if (grace.count() < 0) throw Error(ErrorCode::kInvalidArgument, "grace_seconds: must be at least 0");
  const Turn turn(*this);
  const std::string id = engine_.pause(now(), id_or_name, grace).id();
  commit();
  return engine_.job(id).job;
}

v1::Job Coordinator::resume(const access::Caller&, const std::string& id_or_name,
                            const v1::WorkerRange* workers) {
  const Turn turn(*this);
  const std::string id = engine_.resume(now(), id_or_name, workers).id();
  commit();
  return engine_.job(id).job;
}

v1::Job Coordinator::update(const access::Caller&, const v1::UpdateJobRequest&) { not_yet("UpdateJob"); }

v1::Job Coordinator::retry(const access::Caller&, const std::string&, const std::string&) {
  not_yet("RetryJob");
}

void Coordinator::remove(const access::Caller&, const std::string&) { not_yet("DeleteJob"); }

v1::Worker Coordinator::drain_worker(const access::Caller&, const std::string&) { not_yet("DrainWorker"); }

Watched Coordinator::watch(const std::string&, std::uint64_t) const { not_yet("WatchJob"); }

v1::ListEventsResponse Coordinator::events(const v1::ListEventsRequest&) const { not_yet("ListEvents"); }

v1::ListWorkersResponse Coordinator::workers() const { not_yet("ListWorkers"); }

v1::GetQueueResponse Coordinator::queue() const { not_yet("GetQueue"); }

Injected Coordinator::inject(const access::Caller&, const std::string& id_or_name, int rank,
                             const v1::Fault& fault) {
  const Turn turn(*this);
  const Injected injected = engine_.inject(id_or_name, rank, fault);
  commit();
  spdlog::warn("fault {} is injected into rank {} of job {}", v1::FaultKind_Name(fault.kind()), rank,
               id_or_name);
  return injected;
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

v1::Job Coordinator::job(const std::string& id_or_name) const {
  const std::lock_guard lock(mutex_);
  return engine_.job(id_or_name).job;
}

v1::ListJobsResponse Coordinator::list(const v1::ListJobsRequest& request) const {
  if (request.page_size() < 0) throw Error(ErrorCode::kInvalidArgument, "page_size: must be at least 0");
  const int size = request.page_size() == 0 ? 100 : std::min(request.page_size(), 1000);
  const std::lock_guard lock(mutex_);
  auto jobs = engine_.jobs();
  std::reverse(jobs.begin(), jobs.end());
  auto next = jobs.begin();
  if (!request.page_token().empty()) {
    next = std::find_if(jobs.begin(), jobs.end(),
                        [&](const JobRecord* record) { return record->id() == request.page_token(); });
    if (next == jobs.end())
      throw Error(ErrorCode::kInvalidArgument,
                  "page_token: \"" + request.page_token() + "\" is not one of ours");
    ++next;
  }
  v1::ListJobsResponse response;
  for (; next != jobs.end() && response.jobs_size() < size; ++next) {
    v1::Job& job = *response.add_jobs();
    job = (*next)->job;
    job.clear_spec();
    job.clear_transitions();
    job.clear_recoveries();
  }
  if (next != jobs.end()) response.set_next_page_token(response.jobs(response.jobs_size() - 1).id());
  return response;
}

std::optional<v1::Job> Coordinator::wait(const std::string& id, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const JobRecord& record = engine_.job(id);
  const bool ended = changed_.wait_for(lock, timeout, [&] { return is_final(record.state()) || stopping_; });
  return ended && is_final(record.state()) ? std::optional(record.job) : std::nullopt;
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
