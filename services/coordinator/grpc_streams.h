// The streams of JobService. None has a thread: each step follows from a write that has gone out, or from an
// alarm. A client that does not read holds one message and no lock; when it reads again it is given what is
// true then.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "mdgen/v1/job_service.pb.h"
#include "services/coordinator/frontend.h"

namespace mdgen::coordinator {

// Each deletes itself at its end, as reactors do.
grpc::ServerWriteReactor<v1::WatchJobResponse>* watch_job(grpc::CallbackServerContext* context,
                                                          const v1::WatchJobRequest& request,
                                                          Frontend& frontend);
grpc::ServerWriteReactor<v1::StreamLogsResponse>* stream_logs(grpc::CallbackServerContext* context,
                                                              const v1::StreamLogsRequest& request,
                                                              Frontend& frontend);
grpc::ServerWriteReactor<v1::StreamLedgerResponse>* stream_ledger(grpc::CallbackServerContext* context,
                                                                  const v1::StreamLedgerRequest& request,
                                                                  Frontend& frontend);

}  // namespace mdgen::coordinator
