// WorkerService over the coordinator: one reactor an agent, exchanges parked without a thread.
#pragma once

#include "mdgen/v1/worker_service.grpc.pb.h"
#include "services/coordinator/coordinator.h"

namespace mdgen::coordinator {

// Exchange takes and gives bytes: the answer to thousands of ranks is serialised once.
class GrpcWorkerService final
    : public v1::WorkerService::WithCallbackMethod_Connect<
          v1::WorkerService::WithRawCallbackMethod_Exchange<v1::WorkerService::Service>> {
 public:
  explicit GrpcWorkerService(Coordinator& coordinator) : coordinator_(coordinator) {}

  grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* Connect(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Exchange(grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;

 private:
  Coordinator& coordinator_;
};

}  // namespace mdgen::coordinator
