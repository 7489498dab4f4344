// NcclApi that really moves data between threads: each rank has a "stream", a thread that runs what is
// enqueued, over the local backend. So the logic above NCCL can be held to what every backend must do.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/comm/local/local_group.h"
#include "core/comm/nccl/nccl_api.h"

namespace mdgen::testing {

class StreamNccl : public comm::NcclApi {
 public:
  using Kind = comm::NcclStatus::Kind;

  explicit StreamNccl(std::unique_ptr<comm::Collective> wire)
      : wire_(std::move(wire)), stream_([this] { run(); }) {}
  ~StreamNccl() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      changed_.notify_all();
    }
    stream_.join();
  }

  comm::NcclStatus make_unique_id(std::string& id) override {
    id = "id";
    return {};
  }
  comm::NcclStatus init(Communicator& communicator, int, const std::string&, int) override {
    communicator = this;
    return {Kind::kInProgress, ""};
  }
  comm::NcclStatus async_state(Communicator) override {
    const std::lock_guard lock(mutex_);
    return error_;
  }

  comm::NcclStatus all_reduce(Communicator, const at::Tensor& tensor) override {
    return enqueue([this, tensor] { wire_->all_reduce(tensor); });
  }
  comm::NcclStatus broadcast(Communicator, const at::Tensor& tensor, int root) override {
    return enqueue([this, tensor, root] { wire_->broadcast(tensor, root); });
  }
  comm::NcclStatus all_gather(Communicator, const at::Tensor& input, const at::Tensor& output) override {
    return enqueue([this, input, output] { wire_->all_gather_into(output, input); });
  }
  comm::NcclStatus all_to_all(Communicator, const at::Tensor& output,
                              const std::vector<std::int64_t>& output_splits, const at::Tensor& input,
                              const std::vector<std::int64_t>& input_splits) override {
    return enqueue(
        [=, this] { wire_->all_to_all_async(output, output_splits, input, input_splits)->wait(); });
  }

  comm::NcclStatus record(Event& event) override {
    const std::lock_guard lock(mutex_);
    event = std::make_shared<std::int64_t>(enqueued_);
    return {};
  }
  comm::NcclStatus query(const Event& event) override {
    const std::lock_guard lock(mutex_);
    const bool passed = passed_ >= *static_cast<std::int64_t*>(event.get());
    return {passed ? Kind::kOk : Kind::kInProgress, ""};
  }

  comm::NcclStatus finalize(Communicator) override { return {}; }
  comm::NcclStatus destroy(Communicator) override { return {}; }
  comm::NcclStatus abort(Communicator) override {
    wire_->abort("ncclCommAbort");
    return {};
  }

 private:
  comm::NcclStatus enqueue(std::function<void()> operation) {
    const std::lock_guard lock(mutex_);
    operations_.push_back(std::move(operation));
    ++enqueued_;
    changed_.notify_all();
    return {};
  }

  // As an aborted kernel, one that fails counts as passed: its buffer holds garbage.
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return closed_ || !operations_.empty(); });
      if (operations_.empty()) return;
      const std::function<void()> operation = std::move(operations_.front());
      operations_.pop_front();
      lock.unlock();
      comm::NcclStatus status;
      try {
        operation();
      } catch (const std::exception& error) {
        status = {Kind::kPeerLost, error.what()};
      }
      lock.lock();
      if (status.kind != Kind::kOk) error_ = status;
      ++passed_;
    }
  }

  std::unique_ptr<comm::Collective> wire_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> operations_;
  std::int64_t enqueued_ = 0;
  std::int64_t passed_ = 0;
  bool closed_ = false;
  comm::NcclStatus error_;
  std::thread stream_;
};

}  // namespace mdgen::testing
