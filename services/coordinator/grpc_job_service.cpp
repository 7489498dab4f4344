#include "services/coordinator/grpc_job_service.h"

#include "services/coordinator/checkpoint_list.h"
#include "services/coordinator/grpc_call.h"
#include "services/coordinator/grpc_streams.h"

namespace mdgen::coordinator {
namespace {

template <typename Request>
std::chrono::seconds grace_of(const Request& request) {
  constexpr int kDefaultSeconds = 60;
  return std::chrono::seconds(request.has_grace_seconds() ? request.grace_seconds() : kDefaultSeconds);
}

}  // namespace

grpc::ServerUnaryReactor* GrpcJobService::SubmitJob(Context* context, const v1::SubmitJobRequest* request,
                                                    v1::SubmitJobResponse* response) {
  return answer_change(context, frontend_, *request, [&](access::AuditRecord& record) {
    *response->mutable_job() = frontend_.coordinator.submit(record.caller, request->spec(),
                                                            request->request_id(), request->validate_only());
    record.job = response->job().id();
  });
}

grpc::ServerUnaryReactor* GrpcJobService::GetJob(Context* context, const v1::GetJobRequest* request,
                                                 v1::GetJobResponse* response) {
  return answer(context, [&] { *response->mutable_job() = frontend_.coordinator.job(request->id()); });
}

grpc::ServerUnaryReactor* GrpcJobService::ListJobs(Context* context, const v1::ListJobsRequest* request,
                                                   v1::ListJobsResponse* response) {
  return answer(context, [&] { *response = frontend_.coordinator.list(*request); });
}

grpc::ServerUnaryReactor* GrpcJobService::CancelJob(Context* context, const v1::CancelJobRequest* request,
                                                    v1::CancelJobResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    *response->mutable_job() = frontend_.coordinator.cancel(caller, request->id(), grace_of(*request));
  });
}

grpc::ServerUnaryReactor* GrpcJobService::PauseJob(Context* context, const v1::PauseJobRequest* request,
                                                   v1::PauseJobResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    *response->mutable_job() = frontend_.coordinator.pause(caller, request->id(), grace_of(*request));
  });
}

grpc::ServerUnaryReactor* GrpcJobService::ResumeJob(Context* context, const v1::ResumeJobRequest* request,
                                                    v1::ResumeJobResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    *response->mutable_job() = frontend_.coordinator.resume(
        caller, request->id(), request->has_workers() ? &request->workers() : nullptr);
  });
}

grpc::ServerUnaryReactor* GrpcJobService::UpdateJob(Context* context, const v1::UpdateJobRequest* request,
                                                    v1::UpdateJobResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    *response->mutable_job() = frontend_.coordinator.update(caller, *request);
  });
}

grpc::ServerUnaryReactor* GrpcJobService::RetryJob(Context* context, const v1::RetryJobRequest* request,
                                                   v1::RetryJobResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    *response->mutable_job() = frontend_.coordinator.retry(caller, request->id(), request->request_id());
  });
}

grpc::ServerUnaryReactor* GrpcJobService::DeleteJob(Context* context, const v1::DeleteJobRequest* request,
                                                    v1::DeleteJobResponse*) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    frontend_.coordinator.remove(caller, request->id());
  });
}

grpc::ServerUnaryReactor* GrpcJobService::ListEvents(Context* context, const v1::ListEventsRequest* request,
                                                     v1::ListEventsResponse* response) {
  return answer(context, [&] { *response = frontend_.coordinator.events(*request); });
}

grpc::ServerUnaryReactor* GrpcJobService::GetMetrics(Context* context, const v1::GetMetricsRequest* request,
                                                     v1::GetMetricsResponse* response) {
  return answer_later(context, frontend_, [this, request, response] {
    *response = frontend_.metrics.get(frontend_.coordinator.job(request->id()).run_folder(), *request);
  });
}

grpc::ServerUnaryReactor* GrpcJobService::ListCheckpoints(Context* context,
                                                          const v1::ListCheckpointsRequest* request,
                                                          v1::ListCheckpointsResponse* response) {
  return answer_later(context, frontend_, [this, request, response] {
    *response = list_checkpoints(frontend_.coordinator.job(request->id()).run_folder());
  });
}

grpc::ServerUnaryReactor* GrpcJobService::InjectFault(Context* context, const v1::InjectFaultRequest* request,
                                                      v1::InjectFaultResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    if (!frontend_.coordinator.inject_allowed())
      throw Error(ErrorCode::kPermissionDenied,
                  "fault injection is off: start mdgen-coordinator with --allow_inject");
    const Injected injected =
        frontend_.coordinator.inject(caller, request->id(), request->rank(), request->fault());
    response->set_worker_id(injected.worker_id);
    response->set_generation(injected.generation);
  });
}

grpc::ServerWriteReactor<v1::WatchJobResponse>* GrpcJobService::WatchJob(Context* context,
                                                                         const v1::WatchJobRequest* request) {
  return watch_job(context, *request, frontend_);
}

grpc::ServerWriteReactor<v1::StreamLogsResponse>* GrpcJobService::StreamLogs(
    Context* context, const v1::StreamLogsRequest* request) {
  return stream_logs(context, *request, frontend_);
}

grpc::ServerWriteReactor<v1::StreamLedgerResponse>* GrpcJobService::StreamLedger(
    Context* context, const v1::StreamLedgerRequest* request) {
  return stream_ledger(context, *request, frontend_);
}

}  // namespace mdgen::coordinator
