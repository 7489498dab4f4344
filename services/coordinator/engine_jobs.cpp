// Engine: jobs come, are found, are tried again and go.
#include <algorithm>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/identity.h"
#include "core/base/labels.h"
#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"
#include "services/coordinator/timestamps.h"

namespace mdgen::coordinator {
namespace {

constexpr double kLongestDeadline = 1e9;  // seconds: 30 years

// Nothing when the job has no deadline.
std::optional<Clock::Wall> deadline_of(const v1::Job& job) {
  const double seconds = job.spec().deadline_seconds();
  if (!(seconds > 0.0)) return std::nullopt;
  return to_wall(job.created_at()) + std::chrono::duration_cast<Clock::Wall::duration>(
                                         std::chrono::duration<double>(std::min(seconds, kLongestDeadline)));
}

void set_labels(v1::Job& job) {
  job.clear_labels();
  for (const auto& [key, value] : parse_labels("labels", job.spec().labels()))
    (*job.mutable_labels())[key] = value;
}

}  // namespace

const v1::Job* Engine::find_request(const std::string& request_id) const {
  const auto found = by_request_.find(request_id);
  return request_id.empty() || found == by_request_.end() ? nullptr : &found->second->job;
}

void Engine::check_folder(const v1::JobSpec& spec, const FolderFacts& facts) const {
  const std::string folder = facts.folder.string();
  const JobRecord* owner = nullptr;
  for (const auto& other : jobs_) {
    if (other->job.run_folder() != folder) continue;
    if (!is_final(other->state()))
      throw Error(ErrorCode::kAlreadyExists, "run folder " + folder + " belongs to job " + other->id() +
                                                 ", which is " + state_name(other->state()) +
                                                 ": choose another name");
    owner = other.get();
  }
  const std::string& resume = spec.resume();
  if (resume == "require" && !facts.has_checkpoints)
    throw Error(ErrorCode::kFailedPrecondition,
                "resume: require, but run folder " + folder + " holds no checkpoint");
  if (resume == "fresh" && facts.used)
    throw Error(ErrorCode::kAlreadyExists,
                "resume: fresh, but run folder " + folder + " is used already" +
                    (owner == nullptr ? std::string() : " (by job " + owner->id() + ")") +
                    ": choose another name");
  const bool validates = spec.loop().validate();  // nothing of the earlier job is touched
  if (resume == "auto" && !validates && owner != nullptr && facts.has_checkpoints)
    throw Error(ErrorCode::kAlreadyExists, "run folder " + folder + " belongs to job " + owner->id() +
                                               ", which is " + state_name(owner->state()) +
                                               ": choose another name, or continue it with resume: require");
}

std::vector<Dependency> Engine::resolve_after(const v1::JobSpec& spec) const {
  std::vector<Dependency> dependencies;
  for (const std::string& name : names_in_after(spec.after())) {
    const JobRecord* found = nullptr;
    try {
      found = &job(name);
    } catch (const Error& error) {
      throw Error(ErrorCode::kInvalidArgument, std::string("after: ") + error.what());
    }
    dependencies.push_back({found->id(), found->job.name(), found->state()});
    const auto hopeless = why_it_cannot_start({dependencies.back()});
    if (hopeless)
      throw Error(ErrorCode::kFailedPrecondition, "after: job " + found->id() + " (" + found->job.name() +
                                                      ") is " + state_name(found->state()) +
                                                      ": this job could never start");
    if (found->state() == v1::JOB_STATE_SUCCEEDED) dependencies.pop_back();
  }
  return dependencies;
}

v1::Job Engine::preview(Now now, const v1::JobSpec& spec, const FolderFacts& facts,
                        const std::string& owner) const {
  check_folder(spec, facts);
  resolve_after(spec);
  v1::Job job;
  job.set_name(spec.name());
  job.set_run_folder(facts.folder.string());
  *job.mutable_spec() = spec;
  job.set_priority(spec.priority());
  job.set_owner(owner);
  job.set_attempt(1);
  set_labels(job);
  *job.mutable_created_at() = to_timestamp(now.wall);
  if (const auto deadline = deadline_of(job)) *job.mutable_deadline() = to_timestamp(*deadline);
  return job;
}

JobRecord& Engine::add_job(Now now, v1::Job job, const std::string& request_id, const FolderFacts& facts) {
  auto& record = *jobs_.emplace_back(std::make_unique<JobRecord>());
  do {
    job.set_id(make_short_id());
  } while (by_id_.contains(job.id()));
  record.job = std::move(job);
  record.request_id = request_id;
  record.ordinal = ++last_ordinal_;
  record.last_generation = facts.last_generation;
  record.earlier_attempts = facts.last_attempt;
  record.selector = parse_labels("workers.selector", record.job.spec().workers().selector());
  by_id_[record.id()] = &record;
  if (!request_id.empty()) by_request_[request_id] = &record;
  set_deadline(now, record);
  return record;
}

const v1::Job& Engine::submit(Now now, const v1::JobSpec& spec, const std::string& request_id,
                              const FolderFacts& facts, const std::string& owner) {
  if (const v1::Job* earlier = find_request(request_id)) return *earlier;
  std::vector<Dependency> after = resolve_after(spec);
  JobRecord& record = add_job(now, preview(now, spec, facts, owner), request_id, facts);
  record.after = std::move(after);
  note(now, record, "Change", "Submitted", "run folder " + record.job.run_folder(), owner);
  apply(now, record, ChangeState{v1::JOB_STATE_VALIDATING, "Submitted", "the data set is being examined"});
  telemetry().submitted();
  settle(now);
  return record.job;
}

v1::JobSpec Engine::retry_spec(const std::string& id, bool has_checkpoints) const {
  const JobRecord& old = job(id);
  check_request(old.id(), old.state(), Request::kRetry);
  if (const JobRecord* next = retried_as(old.id()))
    throw Error(ErrorCode::kFailedPrecondition, "job " + old.id() + " was retried already, as job " +
                                                    next->id() + ", which is " + state_name(next->state()));
  v1::JobSpec spec = old.job.spec();
  spec.set_resume(has_checkpoints ? "require" : "auto");
  // Those it still waited for, or what became of them.
  std::string after;
  for (const Dependency& dependency : old.after) {
    std::string wanted = dependency.id;
    while (const JobRecord* next = retried_as(wanted)) wanted = next->id();
    after += (after.empty() ? "" : ",") + wanted;
  }
  spec.set_after(after);
  return spec;
}

const v1::Job& Engine::retry(Now now, const std::string& id, const v1::JobSpec& spec,
                             const std::string& request_id, const FolderFacts& facts,
                             const std::string& actor) {
  if (const v1::Job* earlier = find_request(request_id)) return *earlier;
  JobRecord& old = this->record(job(id).id());
  check_request(old.id(), old.state(), Request::kRetry);
  std::vector<Dependency> after = resolve_after(spec);
  v1::Job job = preview(now, spec, facts, old.job.owner());
  job.set_attempt(old.job.attempt() + 1);
  job.set_retry_of(old.id());
  JobRecord& record = add_job(now, std::move(job), request_id, facts);
  record.after = std::move(after);
  note(now, old, "Change", "Retried", "as job " + record.id(), actor);
  old.mark(JobRecord::Unsaved::kState);
  note(now, record, "Change", "Submitted",
       "attempt " + std::to_string(record.job.attempt()) + ", after job " + old.id(), actor);
  apply(now, record, ChangeState{v1::JOB_STATE_VALIDATING, "Submitted", "the data set is being examined"});
  telemetry().submitted();
  settle(now);
  return record.job;
}

const v1::Job& Engine::update(Now now, const v1::UpdateJobRequest& request, const std::string& actor) {
  JobRecord& record = this->record(job(request.id()).id());
  check_request(record.id(), record.state(), Request::kUpdate);
  v1::Job changed = record.job;
  std::string what;
  const auto tell = [&](const std::string& text) { what += (what.empty() ? "" : "; ") + text; };
  if (request.has_priority()) {
    tell("priority " + std::to_string(changed.priority()) + " -> " + std::to_string(request.priority()));
    changed.set_priority(request.priority());
    changed.mutable_spec()->set_priority(request.priority());
  }
  if (request.has_deadline_seconds()) {
    changed.mutable_spec()->set_deadline_seconds(request.deadline_seconds());
    const auto deadline = deadline_of(changed);
    if (deadline && *deadline <= now.wall)
      throw Error(ErrorCode::kInvalidArgument,
                  "deadline_seconds: it counts from the submission, and that deadline has passed; cancel the "
                  "job to end it");
    tell(deadline ? "deadline " + std::to_string(static_cast<std::int64_t>(request.deadline_seconds())) +
                        " s after the submission"
                  : "no deadline");
  }
  if (request.has_labels()) {
    changed.mutable_spec()->set_labels(request.labels());
    set_labels(changed);
    tell("labels " + (request.labels().empty() ? "none" : request.labels()));
  }
  record.job = std::move(changed);
  set_deadline(now, record);
  record.mark(JobRecord::Unsaved::kState);
  note(now, record, "Change", "Updated", what.empty() ? "nothing" : what, actor);
  settle(now);
  return record.job;
}

void Engine::set_deadline(Now now, JobRecord& record) {
  const auto deadline = deadline_of(record.job);
  record.expires_at.reset();
  record.job.clear_deadline();
  if (!deadline) return;
  *record.job.mutable_deadline() = to_timestamp(*deadline);
  record.expires_at = now.steady + (*deadline - now.wall);
}

void Engine::remove(const std::string& id) {
  const JobRecord& record = job(id);
  check_request(record.id(), record.state(), Request::kRemove);
  if (const JobRecord* waiting = waits_for(record.id()))
    throw Error(ErrorCode::kFailedPrecondition, "job " + record.id() + " is " + state_name(record.state()) +
                                                    ": it cannot be deleted while job " + waiting->id() +
                                                    " (" + waiting->job.name() + "), which is " +
                                                    state_name(waiting->state()) + ", waits for it");
  forget(std::string(record.id()));
}

void Engine::forget(const std::string& id) {
  const JobRecord& record = this->record(id);
  if (!record.request_id.empty()) by_request_.erase(record.request_id);
  by_id_.erase(id);
  to_forget_.push_back(id);
  std::erase_if(jobs_, [&](const auto& job) { return job.get() == &record; });
}

void Engine::forget_old(Now now) {
  std::vector<EndedJob> ended;
  for (const auto& record : jobs_)
    if (is_final(record->state())) ended.push_back({record->id(), to_wall(record->job.ended_at()), false});
  if (static_cast<int>(ended.size()) <= options_.retention.keep_jobs &&
      options_.retention.keep_for.count() == 0)
    return;
  for (EndedJob& job : ended) job.awaited = waits_for(job.id) != nullptr;
  for (Forgotten& one : to_forget(std::move(ended), options_.retention, now.wall)) {
    outputs_.emplace_back(JobForgotten{one.id, job(one.id).job.name(), one.why});
    forget(one.id);
  }
}

const JobRecord* Engine::retried_as(const std::string& id) const {
  const auto found = std::find_if(jobs_.rbegin(), jobs_.rend(),
                                  [&](const auto& record) { return record->job.retry_of() == id; });
  return found == jobs_.rend() ? nullptr : found->get();
}

const JobRecord* Engine::waits_for(const std::string& id) const {
  for (const auto& record : jobs_) {
    if (is_final(record->state())) continue;
    for (const Dependency& dependency : record->after)
      if (dependency.id == id) return record.get();
  }
  return nullptr;
}

// A job that was retried is meant by its id alone.
const JobRecord& Engine::job(const std::string& id_or_name) const {
  if (const auto found = by_id_.find(id_or_name); found != by_id_.end()) return *found->second;
  std::vector<const JobRecord*> named;
  for (const auto& record : jobs_)
    if (record->job.name() == id_or_name) named.push_back(record.get());
  std::set<std::string> retried;
  for (const JobRecord* record : named) retried.insert(record->job.retry_of());
  std::erase_if(named, [&](const JobRecord* record) { return retried.contains(record->id()); });
  if (named.empty()) throw Error(ErrorCode::kNotFound, "there is no job " + id_or_name);
  if (named.size() == 1) return *named.front();
  std::string ids;
  for (const JobRecord* record : named) ids += (ids.empty() ? "" : ", ") + record->id();
  throw Error(ErrorCode::kFailedPrecondition,
              std::to_string(named.size()) + " jobs are named " + id_or_name + ": use one of the ids " + ids);
}

std::vector<const JobRecord*> Engine::jobs() const {
  std::vector<const JobRecord*> list;
  for (const auto& record : jobs_) list.push_back(record.get());
  return list;
}

}  // namespace mdgen::coordinator
