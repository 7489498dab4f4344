// JobService over the coordinator: translates, decides nothing.
#pragma once

#include "mdgen/v1/job_service.grpc.pb.h"
#include "services/coordinator/coordinator.h"

namespace mdgen::coordinator {

class GrpcJobService final : public v1::JobService::CallbackService {
 public:
  explicit GrpcJobService(Coordinator& coordinator) : coordinator_(coordinator) {}

  grpc::ServerUnaryReactor* SubmitJob(grpc::CallbackServerContext* context,
                                      const v1::SubmitJobRequest* request,
                                      v1::SubmitJobResponse* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context, const v1::GetJobRequest* request,
                                   v1::GetJobResponse* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context, const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const v1::CancelJobRequest* request,
                                      v1::CancelJobResponse* response) override;
  grpc::ServerUnaryReactor* PauseJob(grpc::CallbackServerContext* context, const v1::PauseJobRequest* request,
                                     v1::PauseJobResponse* response) override;
  grpc::ServerUnaryReactor* ResumeJob(grpc::CallbackServerContext* context,
                                      const v1::ResumeJobRequest* request,
                                      v1::ResumeJobResponse* response) override;
  grpc::ServerUnaryReactor* InjectFault(grpc::CallbackServerContext* context,
                                        const v1::InjectFaultRequest* request,
                                        v1::InjectFaultResponse* response) override;
  grpc::ServerWriteReactor<v1::StreamLogsResponse>* StreamLogs(grpc::CallbackServerContext* context,
                                                               const v1::StreamLogsRequest* request) override;
  grpc::ServerWriteReactor<v1::StreamLedgerResponse>* StreamLedger(
      grpc::CallbackServerContext* context, const v1::StreamLedgerRequest* request) override;

 private:
  Coordinator& coordinator_;
};

}  // namespace mdgen::coordinator
