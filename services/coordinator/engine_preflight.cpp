// Engine: data sets that workers examine (data.preflight: worker).
#include <utility>

#include "services/coordinator/engine.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {

bool Engine::examining(const std::string& job_id, std::size_t done, std::size_t total,
                       const std::string& where) {
  JobRecord* const record = find_record(job_id);
  if (record == nullptr || record->state() != v1::JOB_STATE_VALIDATING) return false;
  explain(*record, "Examining",
          std::to_string(done) + " of " + std::to_string(total) + " arrays examined" + where);
  return true;
}

void Engine::apply(Now, JobRecord& record, const Examine& action) {
  Worker& worker = *registry_.find(action.worker);
  record.examination = Examination{worker.id, ++record.examinations, ""};
  registry_.give_examination(worker, record.id(), record.examinations);
  v1::CoordinatorMessage message;
  v1::PreflightTask& task = *message.mutable_examine();
  task.set_job_id(record.id());
  task.set_attempt(record.examinations);
  *task.mutable_spec() = record.job.spec();
  send(worker.id, std::move(message));
  explain(record, "Examining",
          "worker " + worker.id + " on " + worker.identity.host() + " examines the data set");
}

void Engine::apply(Now, JobRecord& record, const StopExamination&) {
  v1::CoordinatorMessage message;
  message.mutable_stop_examination()->set_job_id(record.id());
  message.mutable_stop_examination()->set_attempt(record.examination->attempt);
  send(record.examination->worker_id, std::move(message));
  record.examination.reset();
}

void Engine::preflight_report(Now now, const std::string& worker_id, const v1::PreflightReport& report) {
  Worker* worker = registry_.find(worker_id);
  if (worker == nullptr || !worker->examining || worker->examining->job_id != report.job_id() ||
      worker->examining->attempt != report.attempt())
    return;
  const bool last = report.has_failure() || report.part().last();
  if (last) registry_.end_examination(*worker);
  JobRecord* const found = find_record(report.job_id());
  if (found == nullptr) return settle(now);  // it was deleted meanwhile
  JobRecord& record = *found;
  const bool awaited = record.state() == v1::JOB_STATE_VALIDATING && record.examination &&
                       record.examination->worker_id == worker_id &&
                       record.examination->attempt == report.attempt();
  if (awaited && report.has_progress()) {
    examining(record.id(), static_cast<std::size_t>(report.progress().examined()),
              static_cast<std::size_t>(report.progress().total()),
              " by a worker on " + worker->identity.host());
  } else if (awaited && report.has_part()) {
    record.examination->received += report.part().bytes();
    if (last) take_findings(now, record, *worker);
  } else if (awaited && report.has_failure()) {
    record.examination.reset();
    const std::string& reason = report.failure().reason();
    validation_failed(now, record.id(), reason == "InvalidArgument" ? "InvalidDataset" : reason,
                      report.failure().message());
  }
  if (last) settle(now);
}

void Engine::take_findings(Now now, JobRecord& record, const Worker& worker) {
  const std::string bytes = std::exchange(record.examination, std::nullopt)->received;
  v1::Preflight found;
  if (!found.ParseFromString(bytes))
    return validation_failed(now, record.id(), "Internal",
                             "what worker " + worker.id + " on " + worker.identity.host() +
                                 " found in the data set cannot be parsed");
  record.validating = true;
  outputs_.emplace_back(
      RequestManifest{record.id(), record.job.run_folder(), record.job.spec(), std::move(found)});
}

void Engine::lose_examination(Now now, const std::string& worker_id, const std::string& how) {
  Worker* worker = registry_.find(worker_id);
  if (worker == nullptr || !worker->examining) return;
  JobRecord* const found = find_record(worker->examining->job_id);
  registry_.end_examination(*worker);
  if (found == nullptr) return;
  JobRecord& record = *found;
  if (!record.examination || record.examination->worker_id != worker_id) return;
  record.examination.reset();
  const std::string lost = "worker " + worker_id + " on " + worker->identity.host() +
                           " was lost while it examined the data set: " + how;
  if (record.examinations < options_.max_examinations) {
    explain(record, "WorkerLost", lost);
  } else {
    apply(now, record,
          ChangeState{v1::JOB_STATE_FAILED, "WorkerLost",
                      lost + "; given up after " + std::to_string(record.examinations) + " workers"});
  }
}

}  // namespace mdgen::coordinator
