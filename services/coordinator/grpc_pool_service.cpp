#include "services/coordinator/grpc_pool_service.h"

#include "services/coordinator/grpc_call.h"

namespace mdgen::coordinator {

grpc::ServerUnaryReactor* GrpcPoolService::ListWorkers(Context* context, const v1::ListWorkersRequest*,
                                                       v1::ListWorkersResponse* response) {
  return answer(context, [&] { *response = frontend_.coordinator.workers(); });
}

grpc::ServerUnaryReactor* GrpcPoolService::DrainWorker(Context* context,
                                                       const v1::DrainWorkerRequest* request,
                                                       v1::DrainWorkerResponse* response) {
  return answer_change(context, frontend_, *request, [&](const access::Caller& caller) {
    *response->mutable_worker() = frontend_.coordinator.drain_worker(caller, request->id());
  });
}

grpc::ServerUnaryReactor* GrpcPoolService::GetQueue(Context* context, const v1::GetQueueRequest*,
                                                    v1::GetQueueResponse* response) {
  return answer(context, [&] { *response = frontend_.coordinator.queue(); });
}

}  // namespace mdgen::coordinator
