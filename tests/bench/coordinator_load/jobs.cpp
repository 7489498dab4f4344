#include "tests/bench/coordinator_load/jobs.h"

#include <grpcpp/grpcpp.h>

#include "core/base/error.h"
#include "core/base/identity.h"
#include "core/config/spec.h"

namespace mdgen::load {
namespace {

constexpr std::chrono::seconds kDeadline{60};

template <typename Request, typename Response>
Response call(v1::JobService::Stub& stub,
              grpc::Status (v1::JobService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, const char* name) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  context.set_wait_for_ready(true);
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) throw Error(ErrorCode::kUnavailable, std::string(name) + ": " + status.error_message());
  return response;
}

}  // namespace

void Jobs::open(const std::string& address) {
  stub_ = v1::JobService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

v1::JobSpec Jobs::spec(const Dataset& dataset, int number) const {
  const int workers = options_.ranks / options_.jobs;
  const std::string size = std::to_string(workers);
  const std::string text =
      "{name: load-" + std::to_string(number) + ", work_dir: " + (options_.folder / "runs").string() +
      ", workers: {min: " + size + ", max: " + size + "}, data: {train_split: " + dataset.split.string() +
      ", val_split: " + dataset.split.string() + ", data_dir: " + dataset.data_dir.string() +
      ", atlas: true, num_frames: 250, crop: 256}, model: {sim_condition: true}, "
      "loop: {epochs: 100000, no_validate: true}}";
  return config::resolve(config::parse_yaml(text, "mdgen-load"), options_.folder).spec;
}

void Jobs::submit(const Dataset& dataset) {
  for (int number = 0; number < options_.jobs; ++number) {
    v1::SubmitJobRequest request;
    *request.mutable_spec() = spec(dataset, number);
    request.set_request_id(make_uuid());
    ids_.push_back(call(*stub_, &v1::JobService::Stub::SubmitJob, request, "SubmitJob").job().id());
  }
}

void Jobs::cancel() {
  for (const std::string& id : ids_) {
    v1::CancelJobRequest request;
    request.set_id(id);
    call(*stub_, &v1::JobService::Stub::CancelJob, request, "CancelJob");
  }
}

std::vector<v1::Job> Jobs::all() {
  std::vector<v1::Job> jobs;
  for (const std::string& id : ids_) {
    v1::GetJobRequest request;
    request.set_id(id);
    jobs.push_back(call(*stub_, &v1::JobService::Stub::GetJob, request, "GetJob").job());
  }
  return jobs;
}

bool Jobs::are(v1::JobState state, int restarts) {
  const v1::ListJobsResponse list =
      call(*stub_, &v1::JobService::Stub::ListJobs, v1::ListJobsRequest(), "ListJobs");
  bool all = true;
  for (const v1::Job& job : list.jobs()) {
    if (job.state() == v1::JOB_STATE_FAILED)
      throw Error(ErrorCode::kInternal, "job " + job.name() + " has failed: " + job.message());
    all = all && job.state() == state && job.restarts() == restarts;
  }
  return all;
}

}  // namespace mdgen::load
