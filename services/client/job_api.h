// The coordinator's JobService as the client sees it. Errors are thrown as Error: kUnavailable when there is
// no connection or no answer in time, else the server's code and text.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "mdgen/v1/job_service.pb.h"
#include "services/access/access.h"

namespace mdgen::client {

class JobApi {
 public:
  virtual ~JobApi() = default;
  virtual v1::Job submit(const v1::JobSpec& resolved, const std::string& request_id) = 0;
  virtual v1::Job get(const std::string& id) = 0;
  virtual v1::ListJobsResponse list(const v1::ListJobsRequest& request) = 0;
  virtual v1::Job cancel(const std::string& id, std::optional<int> grace_seconds) = 0;
  virtual v1::Job pause(const std::string& id, std::optional<int> grace_seconds) = 0;
  // `workers`: the new range; nothing: as before.
  virtual v1::Job resume(const std::string& id, const std::optional<v1::WorkerRange>& workers) = 0;
  virtual v1::InjectFaultResponse inject(const v1::InjectFaultRequest& request) = 0;
  // Calls `take` with each piece until the stream ends or `take` returns false.
  virtual void stream_logs(const v1::StreamLogsRequest& request,
                           const std::function<bool(const v1::StreamLogsResponse&)>& take) = 0;
  // The whole stream as one message.
  virtual v1::StreamLedgerResponse ledger(const v1::StreamLedgerRequest& request) = 0;
};

// `address` is HOST:PORT. Connects with the first call. Throws Error(kInvalidArgument) when the certificate
// of `access` is none.
std::unique_ptr<JobApi> connect_grpc(const std::string& address, const access::Access& access);

}  // namespace mdgen::client
