#include "services/worker/trainer_server.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <utility>

#include "core/base/error.h"

namespace mdgen::worker {

struct TrainerServer::State {
  Handlers handlers;
  std::mutex mutex;
  Stream* stream = nullptr;  // the one that is open
  bool had_stream = false;
  std::deque<v1::AgentOrder> orders;
};

// The trainer's Run call; deletes itself in OnDone. Guarded by the state's mutex.
class TrainerServer::Stream : public grpc::ServerBidiReactor<v1::TrainerMessage, v1::AgentOrder> {
 public:
  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {
    const std::lock_guard lock(state_->mutex);
    if (std::exchange(state_->had_stream, true)) {
      Finish({grpc::StatusCode::ALREADY_EXISTS, "the trainer's stream is open already"});
      return;
    }
    state_->stream = this;
    StartRead(&incoming_);
  }

  void write_next() {
    if (writing_ || finished_ || state_->orders.empty()) return;
    outgoing_ = std::move(state_->orders.front());
    state_->orders.pop_front();
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      state_->handlers.message(incoming_);
      StartRead(&incoming_);
      return;
    }
    const std::lock_guard lock(state_->mutex);
    finished_ = true;
    if (!writing_) Finish(grpc::Status::OK);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(state_->mutex);
    writing_ = false;
    if (finished_) {
      Finish(grpc::Status::OK);
    } else if (ok) {
      write_next();
    }
  }

  void OnDone() override {
    const std::shared_ptr<State> state = state_;
    bool was_open = false;
    {
      const std::lock_guard lock(state->mutex);
      was_open = state->stream == this;
      if (was_open) state->stream = nullptr;
    }
    if (was_open) state->handlers.ended();
    delete this;
  }

 private:
  std::shared_ptr<State> state_;
  v1::TrainerMessage incoming_;
  v1::AgentOrder outgoing_;
  bool writing_ = false, finished_ = false;
};

// One Exchange call; deletes itself in OnDone.
class TrainerServer::ExchangeReactor : public grpc::ServerUnaryReactor {
 public:
  ExchangeReactor(const Handlers& handlers, const v1::ExchangeRequest& request,
                  v1::ExchangeResponse& response) {
    cancel_ = handlers.exchange(request, [this, &response](const grpc::Status& status, const auto& answer) {
      response = answer;
      Finish(status);
    });
  }
  void OnCancel() override { cancel_(); }
  void OnDone() override { delete this; }

 private:
  std::function<void()> cancel_;
};

class TrainerServer::Service : public v1::TrainerService::CallbackService {
 public:
  explicit Service(std::shared_ptr<State> state) : state_(std::move(state)) {}

  grpc::ServerBidiReactor<v1::TrainerMessage, v1::AgentOrder>* Run(grpc::CallbackServerContext*) override {
    return new Stream(state_);
  }

  grpc::ServerUnaryReactor* Exchange(grpc::CallbackServerContext*, const v1::ExchangeRequest* request,
                                     v1::ExchangeResponse* response) override {
    return new ExchangeReactor(state_->handlers, *request, *response);
  }

 private:
  std::shared_ptr<State> state_;
};

TrainerServer::TrainerServer(Handlers handlers) : state_(std::make_shared<State>()) {
  state_->handlers = std::move(handlers);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw Error(ErrorCode::kUnavailable, std::string("socketpair for the trainer: ") + std::strerror(errno));
  }
  trainer_end_ = ends[1];
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  service_ = std::make_unique<Service>(state_);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  grpc::AddInsecureChannelFromFd(server_.get(), ends[0]);
}

TrainerServer::~TrainerServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
  close_trainer_end();
}

int TrainerServer::trainer_end() const { return trainer_end_; }

void TrainerServer::close_trainer_end() {
  if (trainer_end_ >= 0) ::close(std::exchange(trainer_end_, -1));
}

void TrainerServer::send(v1::AgentOrder order) {
  const std::lock_guard lock(state_->mutex);
  state_->orders.push_back(std::move(order));
  if (state_->stream != nullptr) state_->stream->write_next();
}

}  // namespace mdgen::worker
