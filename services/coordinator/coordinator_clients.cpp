// Coordinator: what clients change.
#include <utility>

#include "core/base/error.h"
#include "core/base/log.h"
#include "core/config/spec.h"
#include "services/coordinator/coordinator_turn.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

[[noreturn]] void deny(const access::Caller& caller, const std::string& why) {
  throw Error(ErrorCode::kPermissionDenied,
              (caller.name.empty() ? std::string("this caller") : caller.name) + " " + why);
}

void require_change(const access::Caller& caller, const v1::Job& job) {
  if (!access::may_change(caller, job.owner()))
    deny(caller, "may not change job " + job.id() + " (" + job.name() + ")" +
                     (job.owner().empty() ? "" : ", which is " + job.owner() + "'s"));
}

void require_admin(const access::Caller& caller, const char* what) {
  if (caller.role != access::Role::kAdmin)
    deny(caller, std::string("may not ") + what + ": that is for the role admin");
}

void check_grace(std::chrono::seconds grace) {
  if (grace.count() < 0) throw Error(ErrorCode::kInvalidArgument, "grace_seconds: must be at least 0");
}

}  // namespace

// The first answer may have been that it could not be stored.
const v1::Job* Coordinator::answered_before(const access::Caller& caller, const std::string& request_id) {
  const v1::Job* job = engine_.find_request(request_id);
  if (job == nullptr) return nullptr;
  require_change(caller, *job);
  commit();
  return job;
}

v1::Job Coordinator::submit(const access::Caller& caller, const v1::JobSpec& resolved,
                            const std::string& request_id, bool validate_only) {
  if (caller.role == access::Role::kViewer)
    deny(caller, "may not submit jobs: that is for the role submitter");
  if (!validate_only) {
    const Turn turn(*this);
    if (const v1::Job* job = answered_before(caller, request_id)) return *job;
  }
  config::check(resolved);
  const Turn turn(*this);
  if (validate_only)
    return engine_.preview(now(), resolved, inspect_run_folder(resolved, options_.run_roots), caller.name);
  if (const v1::Job* job = answered_before(caller, request_id)) return *job;
  const FolderFacts facts = inspect_run_folder(resolved, options_.run_roots);
  engine_.preview(now(), resolved, facts, caller.name);  // throws before anything is written
  prepare_run_folder(facts.folder, resolved);
  const std::string id = engine_.submit(now(), resolved, request_id, facts, caller.name).id();
  commit();
  spdlog::info("job {} ({}) submitted, run folder {}", id, resolved.name(), facts.folder.string());
  return engine_.job(id).job;
}

v1::Job Coordinator::retry(const access::Caller& caller, const std::string& id_or_name,
                           const std::string& request_id) {
  const Turn turn(*this);
  if (const v1::Job* job = answered_before(caller, request_id)) return *job;
  const v1::Job& old = engine_.job(id_or_name).job;
  require_change(caller, old);
  engine_.retry_spec(old.id(), false);  // says no before the folder is looked at
  const FolderFacts facts = inspect_run_folder(old.spec(), options_.run_roots);
  const v1::JobSpec spec = engine_.retry_spec(old.id(), facts.has_checkpoints);
  config::check(spec);
  engine_.preview(now(), spec, facts, old.owner());
  prepare_run_folder(facts.folder, spec);
  const std::string old_id = old.id();
  const std::string id = engine_.retry(now(), old_id, spec, request_id, facts, caller.name).id();
  commit();
  spdlog::info("job {} ({}) is tried again as job {}", old_id, spec.name(), id);
  return engine_.job(id).job;
}

v1::Job Coordinator::cancel(const access::Caller& caller, const std::string& id_or_name,
                            std::chrono::seconds grace) {
  check_grace(grace);
  const Turn turn(*this);
  require_change(caller, engine_.job(id_or_name).job);
  const std::string id = engine_.cancel(now(), id_or_name, grace, caller.name).id();
  commit();
  return engine_.job(id).job;
}

v1::Job Coordinator::pause(const access::Caller& caller, const std::string& id_or_name,
                           std::chrono::seconds grace) {
  check_grace(grace);
  const Turn turn(*this);
  require_change(caller, engine_.job(id_or_name).job);
  const std::string id = engine_.pause(now(), id_or_name, grace, caller.name).id();
  commit();
  return engine_.job(id).job;
}

v1::Job Coordinator::resume(const access::Caller& caller, const std::string& id_or_name,
                            const v1::WorkerRange* workers) {
  const Turn turn(*this);
  require_change(caller, engine_.job(id_or_name).job);
  const std::string id = engine_.resume(now(), id_or_name, workers, caller.name).id();
  commit();
  return engine_.job(id).job;
}

v1::Job Coordinator::update(const access::Caller& caller, const v1::UpdateJobRequest& request) {
  const Turn turn(*this);
  const v1::Job& before = engine_.job(request.id()).job;
  require_change(caller, before);
  v1::JobSpec changed = before.spec();
  if (request.has_priority()) changed.set_priority(request.priority());
  if (request.has_deadline_seconds()) changed.set_deadline_seconds(request.deadline_seconds());
  if (request.has_labels()) changed.set_labels(request.labels());
  config::check(changed);
  const std::string id = engine_.update(now(), request, caller.name).id();
  commit();
  return engine_.job(id).job;
}

void Coordinator::remove(const access::Caller& caller, const std::string& id_or_name) {
  const Turn turn(*this);
  const v1::Job job = engine_.job(id_or_name).job;
  require_change(caller, job);
  engine_.remove(job.id());
  commit();
  spdlog::info("job {} ({}) is deleted; its run folder {} stays", job.id(), job.name(), job.run_folder());
}

v1::Worker Coordinator::drain_worker(const access::Caller& caller, const std::string& id) {
  require_admin(caller, "drain workers");
  const Turn turn(*this);
  const v1::Worker worker = engine_.view(engine_.order_drain(now(), id, caller.name), now());
  commit();
  return worker;
}

Injected Coordinator::inject(const access::Caller& caller, const std::string& id_or_name, int rank,
                             const v1::Fault& fault) {
  require_admin(caller, "inject faults");
  const Turn turn(*this);
  const Injected injected = engine_.inject(now(), id_or_name, rank, fault, caller.name);
  commit();
  spdlog::warn("fault {} is injected into rank {} of job {}", v1::FaultKind_Name(fault.kind()), rank,
               id_or_name);
  return injected;
}

}  // namespace mdgen::coordinator
