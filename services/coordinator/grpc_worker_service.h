// WorkerService over the coordinator: one reactor an agent, exchanges parked without a thread.
#pragma once

#include "mdgen/v1/worker_service.grpc.pb.h"
#include "services/coordinator/coordinator.h"

namespace mdgen::coordinator {

class GrpcWorkerService final : public v1::WorkerService::CallbackService {
 public:
  explicit GrpcWorkerService(Coordinator& coordinator) : coordinator_(coordinator) {}

  grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Exchange(grpc::CallbackServerContext* context, const v1::ExchangeRequest* request,
                                     v1::ExchangeResponse* response) override;

 private:
  Coordinator& coordinator_;
};

}  // namespace mdgen::coordinator
