// TrainerService over one socketpair: a gRPC server without a port, for one trainer.
#pragma once

#include <functional>
#include <memory>

#include "mdgen/v1/trainer_service.grpc.pb.h"

namespace mdgen::worker {

// Thread-safe. The handlers are called on gRPC's threads, those of the stream one at a time.
class TrainerServer {
 public:
  using ExchangeDone = std::function<void(const grpc::Status&, const v1::ExchangeResponse&)>;
  struct Handlers {
    std::function<void(const v1::TrainerMessage&)> message;
    std::function<void()> ended;  // once, after the last message
    // Starts the call and gives what cancels it; `done` is called once in any case, on any thread.
    std::function<std::function<void()>(const v1::ExchangeRequest&, ExchangeDone)> exchange;
  };

  explicit TrainerServer(Handlers handlers);  // throws Error when no socketpair is to be had
  ~TrainerServer();                           // ends all calls; no handler is called afterwards
  TrainerServer(const TrainerServer&) = delete;
  TrainerServer& operator=(const TrainerServer&) = delete;

  // The trainer's end, to be handed to the child and then closed here.
  int trainer_end() const;
  void close_trainer_end();

  void send(v1::AgentOrder order);

 private:
  class Service;
  class Stream;
  class ExchangeReactor;
  struct State;
  std::shared_ptr<State> state_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
  int trainer_end_ = -1;
};

}  // namespace mdgen::worker
