// The coordinator's JobService and PoolService as the client sees them. Errors are thrown as Error:
// kUnavailable when there is no connection or no answer in time, else the server's code and text.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "mdgen/v1/job_service.pb.h"
#include "mdgen/v1/pool_service.pb.h"
#include "services/access/access.h"

namespace mdgen::client {

class JobApi {
 public:
  virtual ~JobApi() = default;
  virtual v1::Job submit(const v1::JobSpec& resolved, const std::string& request_id) = 0;
  // As submit, without a job: only whether the coordinator would take it.
  virtual void check(const v1::JobSpec& resolved) = 0;
  virtual v1::Job get(const std::string& id) = 0;
  // Calls `take` with each state of the job until it has ended or `take` returns false.
  virtual void watch(const v1::WatchJobRequest& request, const std::function<bool(const v1::Job&)>& take) = 0;
  virtual v1::ListJobsResponse list(const v1::ListJobsRequest& request) = 0;
  virtual v1::Job cancel(const std::string& id, std::optional<int> grace_seconds) = 0;
  virtual v1::Job pause(const std::string& id, std::optional<int> grace_seconds) = 0;
  // `workers`: the new range; nothing: as before.
  virtual v1::Job resume(const std::string& id, const std::optional<v1::WorkerRange>& workers) = 0;
  virtual v1::Job update(const v1::UpdateJobRequest& request) = 0;
  virtual v1::Job retry(const std::string& id, const std::string& request_id) = 0;
  virtual void remove(const std::string& id) = 0;
  virtual v1::ListEventsResponse events(const v1::ListEventsRequest& request) = 0;
  virtual v1::GetMetricsResponse metrics(const v1::GetMetricsRequest& request) = 0;
  virtual v1::ListCheckpointsResponse checkpoints(const std::string& id) = 0;
  virtual v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) = 0;
  // Calls `take` with each piece until the stream ends or `take` returns false.
  virtual void stream_logs(const v1::StreamLogsRequest& request,
                           const std::function<bool(const v1::StreamLogsResponse&)>& take) = 0;
  // The whole stream as one message.
  virtual v1::StreamLedgerResponse ledger(const v1::StreamLedgerRequest& request) = 0;

  virtual v1::ListWorkersResponse workers() = 0;
  virtual v1::Worker drain(const std::string& worker_id) = 0;
  virtual v1::GetQueueResponse queue() = 0;
};

// `address` is HOST:PORT. Connects with the first call. Throws Error(kInvalidArgument) when the certificate
// of `access` is none. Calls that are no streams are given up after `answer_within`.
std::shared_ptr<JobApi> connect_grpc(const std::string& address, const access::Access& access,
                                     std::chrono::milliseconds answer_within = std::chrono::seconds(20));

}  // namespace mdgen::client
