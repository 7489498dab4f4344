// JobService over the coordinator: translates, decides nothing.
#pragma once

#include "mdgen/v1/job_service.grpc.pb.h"
#include "services/coordinator/frontend.h"

namespace mdgen::coordinator {

class GrpcJobService final : public v1::JobService::CallbackService {
 public:
  explicit GrpcJobService(Frontend& frontend) : frontend_(frontend) {}

  template <typename Response>
  using Writer = grpc::ServerWriteReactor<Response>;
  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* SubmitJob(Context* context, const v1::SubmitJobRequest* request,
                   v1::SubmitJobResponse* response) override;
  Unary* GetJob(Context* context, const v1::GetJobRequest* request, v1::GetJobResponse* response) override;
  Unary* ListJobs(Context* context, const v1::ListJobsRequest* request,
                  v1::ListJobsResponse* response) override;
  Unary* CancelJob(Context* context, const v1::CancelJobRequest* request,
                   v1::CancelJobResponse* response) override;
  Unary* PauseJob(Context* context, const v1::PauseJobRequest* request,
                  v1::PauseJobResponse* response) override;
  Unary* ResumeJob(Context* context, const v1::ResumeJobRequest* request,
                   v1::ResumeJobResponse* response) override;
  Unary* UpdateJob(Context* context, const v1::UpdateJobRequest* request,
                   v1::UpdateJobResponse* response) override;
  Unary* RetryJob(Context* context, const v1::RetryJobRequest* request,
                  v1::RetryJobResponse* response) override;
  Unary* DeleteJob(Context* context, const v1::DeleteJobRequest* request,
                   v1::DeleteJobResponse* response) override;
  Unary* ListEvents(Context* context, const v1::ListEventsRequest* request,
                    v1::ListEventsResponse* response) override;
  Unary* GetMetrics(Context* context, const v1::GetMetricsRequest* request,
                    v1::GetMetricsResponse* response) override;
  Unary* ListCheckpoints(Context* context, const v1::ListCheckpointsRequest* request,
                         v1::ListCheckpointsResponse* response) override;
  Unary* InjectFault(Context* context, const v1::InjectFaultRequest* request,
                     v1::InjectFaultResponse* response) override;
  Writer<v1::WatchJobResponse>* WatchJob(Context* context, const v1::WatchJobRequest* request) override;
  Writer<v1::StreamLogsResponse>* StreamLogs(Context* context, const v1::StreamLogsRequest* request) override;
  Writer<v1::StreamLedgerResponse>* StreamLedger(Context* context,
                                                 const v1::StreamLedgerRequest* request) override;

 private:
  Frontend& frontend_;
};

}  // namespace mdgen::coordinator
