// A coordinator for the agent's tests: remembers what agents say, says what the test wants.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "mdgen/v1/worker_service.grpc.pb.h"

namespace mdgen::worker::testing {

class FakeCoordinator final : public v1::WorkerService::Service {
 public:
  using Wanted = std::function<bool(const v1::AgentMessage&)>;

  explicit FakeCoordinator(std::int64_t epoch = 1) : epoch_(epoch) { start("127.0.0.1:0"); }
  ~FakeCoordinator() override { stop(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  void stop() {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  void start_again(std::int64_t epoch) {
    epoch_ = epoch;
    start(address());
  }
  // Answers the next stream with this status in place of a welcome.
  void refuse_next(const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    refusal_ = status;
  }

  void send(const v1::CoordinatorMessage& message) {
    const std::lock_guard lock(mutex_);
    if (stream_ == nullptr || !stream_->Write(message)) throw std::runtime_error("no agent is connected");
  }

  // The first message not yet looked at that is wanted; those before it are dropped.
  v1::AgentMessage await(const Wanted& wanted, std::chrono::seconds timeout = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    v1::AgentMessage result;
    const bool came = changed_.wait_for(lock, timeout, [&] {
      while (seen_ < heard_.size()) {
        result = heard_[seen_++];
        if (wanted(result)) return true;
      }
      return false;
    });
    if (!came) throw std::runtime_error("the agent did not say what was waited for");
    return result;
  }
  v1::Register await_register() {
    return await([](const auto& one) { return one.has_register_(); }).register_();
  }
  v1::TrainerEvent await_event(v1::TrainerEvent::EventCase which) {
    return await(
               [which](const auto& one) { return one.has_trainer() && one.trainer().event_case() == which; })
        .trainer();
  }
  std::vector<v1::AgentMessage> heard() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }

  std::function<grpc::Status(const v1::ExchangeRequest&, v1::ExchangeResponse&)> on_exchange;

  using Stream = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>;

  grpc::Status Connect(grpc::ServerContext*, Stream* stream) override {
    v1::AgentMessage message;
    if (!stream->Read(&message)) return grpc::Status::CANCELLED;
    {
      const std::lock_guard lock(mutex_);
      heard_.push_back(message);
      changed_.notify_all();
      if (!refusal_.ok()) return std::exchange(refusal_, grpc::Status::OK);
      v1::CoordinatorMessage welcome;
      welcome.mutable_welcome()->set_worker_id("w-1");
      welcome.mutable_welcome()->set_epoch(epoch_);
      stream->Write(welcome);
      stream_ = stream;
    }
    while (stream->Read(&message)) {
      const std::lock_guard lock(mutex_);
      heard_.push_back(message);
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    stream_ = nullptr;
    return grpc::Status::OK;
  }

  grpc::Status Exchange(grpc::ServerContext*, const v1::ExchangeRequest* request,
                        v1::ExchangeResponse* response) override {
    return on_exchange(*request, *response);
  }

 private:
  void start(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (!server_) throw std::runtime_error("cannot listen on " + address);
  }

  std::int64_t epoch_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::AgentMessage> heard_;
  std::size_t seen_ = 0;
  Stream* stream_ = nullptr;
  grpc::Status refusal_ = grpc::Status::OK;
};

}  // namespace mdgen::worker::testing
