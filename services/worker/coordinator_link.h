// The agent's one stream to the coordinator, and the rendezvous calls beside it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "mdgen/v1/worker_service.grpc.pb.h"
#include "services/access/access.h"
#include "services/worker/agent_core.h"

namespace mdgen::worker {

// What a broken or refused stream means to the agent.
LinkLoss link_loss(const grpc::Status& status);

// How agents connect. Links of one process to one target share a connection; `own_connection`: not this one.
// Throws Error(kInvalidArgument) when the certificate of `access` is none.
std::shared_ptr<grpc::Channel> make_channel(const std::string& target, bool own_connection = false,
                                            const access::Access& access = {});

// Thread-safe. The handlers are called on gRPC's threads, one at a time per stream, and must not call back.
class CoordinatorLink {
 public:
  struct Handlers {
    std::function<void(const v1::CoordinatorMessage&)> message;
    std::function<void(const grpc::Status&)> down;  // once for each open()
  };
  using ExchangeDone = std::function<void(const grpc::Status&, const v1::ExchangeResponse&)>;

  CoordinatorLink(const std::string& target, Handlers handlers);
  CoordinatorLink(const std::shared_ptr<grpc::Channel>& channel, Handlers handlers);
  ~CoordinatorLink();

  // Opens a stream whose first message registers. Only while there is none.
  void open(const v1::Register& registration);
  // Trainer events wait until release(), and over lost connections; the rest is dropped without a stream. Of
  // beats only the newest is kept.
  void send(v1::AgentMessage message);
  void release();
  void abandon();
  // Breaks the stream and every rendezvous call; those are made again after the next open().
  void cut();
  // Sends what waits, ends the stream and waits for its end, at most so long.
  void close(std::chrono::milliseconds timeout);

  // Passes a rendezvous on, with this agent's incarnation, again and again while the coordinator cannot be
  // reached. `done` is called once, on any thread. The result cancels the call (`done` gets CANCELLED).
  std::function<void()> exchange(const v1::ExchangeRequest& request, ExchangeDone done);

 private:
  struct State;
  class Stream;
  class ExchangeCall;
  std::shared_ptr<State> state_;
};

}  // namespace mdgen::worker
