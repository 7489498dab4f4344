// PoolService over the coordinator: translates, decides nothing.
#pragma once

#include "mdgen/v1/pool_service.grpc.pb.h"
#include "services/coordinator/frontend.h"

namespace mdgen::coordinator {

class GrpcPoolService final : public v1::PoolService::CallbackService {
 public:
  explicit GrpcPoolService(Frontend& frontend) : frontend_(frontend) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;

  Unary* ListWorkers(Context* context, const v1::ListWorkersRequest* request,
                     v1::ListWorkersResponse* response) override;
  Unary* DrainWorker(Context* context, const v1::DrainWorkerRequest* request,
                     v1::DrainWorkerResponse* response) override;
  Unary* GetQueue(Context* context, const v1::GetQueueRequest* request,
                  v1::GetQueueResponse* response) override;

 private:
  Frontend& frontend_;
};

}  // namespace mdgen::coordinator
