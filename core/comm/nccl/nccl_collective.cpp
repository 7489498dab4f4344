#include "core/comm/nccl/nccl_collective.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/comm/arguments.h"

namespace mdgen::comm {
namespace {

using Kind = NcclStatus::Kind;
using Milliseconds = std::chrono::milliseconds;
constexpr Milliseconds kFinalizeTimeout{5'000};

bool failed(const NcclStatus& status) {
  return status.kind == Kind::kPeerLost || status.kind == Kind::kFailed;
}

class Communicator {
 public:
  Communicator(std::shared_ptr<NcclApi> api, const CollectiveOptions& options, NcclTiming timing)
      : api_(std::move(api)), options_(options), timing_(std::move(timing)) {
    if (!timing_.clock) timing_.clock = std::make_shared<SystemClock>();
    if (!timing_.pause) timing_.pause = [] { std::this_thread::sleep_for(std::chrono::microseconds(10)); };
  }
  ~Communicator() { close(); }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  const CollectiveOptions& options() const { return options_; }

  void form(const Exchange& exchange) {
    std::string id;
    if (options_.rank == 0) check("making NCCL's id", api_->make_unique_id(id));
    id = exchange("nccl/id", id).at(0);
    {
      const std::lock_guard lock(mutex_);
      check("forming the group", api_->init(handle_, options_.world_size, id, options_.rank));
    }
    poll("forming the group", options_.forming_timeout, [this] {
      if (options_.cancelled && options_.cancelled()) {
        break_locked(ErrorCode::kAborted, "cancelled");
        throw_if_broken_locked("forming the group");
      }
      return api_->async_state(handle_);
    });
  }

  // Enqueues an operation and returns the mark behind it.
  NcclApi::Event enqueue(const char* operation, const std::function<NcclStatus(void*)>& call) {
    {
      const std::lock_guard lock(mutex_);
      throw_if_broken_locked(operation);
      check(operation, call(handle_));
    }
    poll(operation, options_.timeout, [this] { return api_->async_state(handle_); });
    NcclApi::Event event;
    const std::lock_guard lock(mutex_);
    throw_if_broken_locked(operation);
    check(operation, api_->record(event));
    ++in_flight_;
    return event;
  }

  void wait(const char* operation, const NcclApi::Event& event) {
    poll(operation, options_.timeout, [&] {
      const NcclStatus passed = api_->query(event);
      if (failed(passed)) return passed;
      const NcclStatus state = api_->async_state(handle_);
      return failed(state) ? state : passed;
    });
    --in_flight_;
  }

  void abort(const std::string& reason) {
    aborting_ = true;
    const std::lock_guard lock(mutex_);
    break_locked(ErrorCode::kAborted, reason);
  }

 private:
  std::string where(const std::string& operation) const {
    return operation + " on rank " + std::to_string(options_.rank) + " of " +
           std::to_string(options_.world_size);
  }

  void break_locked(ErrorCode code, const std::string& reason) {
    if (broken_) return;
    broken_.emplace(code, reason);
    if (handle_ == nullptr) return;
    // Nothing can be done about a failing abort; the first reason is the one to tell.
    [[maybe_unused]] const NcclStatus ignored = api_->abort(std::exchange(handle_, nullptr));
  }

  void throw_if_broken_locked(const std::string& operation) const {
    if (broken_) throw CollectiveError(broken_->first, where(operation) + ": " + broken_->second);
  }

  // With the lock held.
  void check(const std::string& operation, const NcclStatus& status) {
    if (!failed(status)) return;
    break_locked(status.kind == Kind::kPeerLost ? ErrorCode::kUnavailable : ErrorCode::kInternal,
                 "NCCL: " + status.text);
    throw_if_broken_locked(operation);
  }

  template <typename Question>
  void poll(const std::string& operation, Milliseconds timeout, const Question& question) {
    const Clock::Steady deadline = timing_.clock->steady() + timeout;
    while (true) {
      if (!aborting_) {
        const std::lock_guard lock(mutex_);
        throw_if_broken_locked(operation);
        const NcclStatus status = question();
        check(operation, status);
        if (status.kind == Kind::kOk && !aborting_) return;
        if (status.kind == Kind::kInProgress && timing_.clock->steady() >= deadline) {
          break_locked(ErrorCode::kUnavailable, "not done after " + std::to_string(timeout.count()) + " ms");
          throw_if_broken_locked(operation);
        }
      } else {
        const std::lock_guard lock(mutex_);
        throw_if_broken_locked(operation);
      }
      timing_.pause();
    }
  }

  void close() {
    if (in_flight_ > 0) abort("destroyed with unfinished operations");
    if (handle_ == nullptr) return;
    try {
      {
        const std::lock_guard lock(mutex_);
        check("closing the group", api_->finalize(handle_));
      }
      poll("closing the group", kFinalizeTimeout, [this] { return api_->async_state(handle_); });
      check("closing the group", api_->destroy(std::exchange(handle_, nullptr)));
    } catch (const Error&) {
      abort("closing failed");
    }
  }

  std::shared_ptr<NcclApi> api_;
  const CollectiveOptions options_;
  NcclTiming timing_;
  std::mutex mutex_;
  void* handle_ = nullptr;
  std::optional<std::pair<ErrorCode, std::string>> broken_;
  std::atomic<bool> aborting_{false};
  std::atomic<int> in_flight_{0};
};

class NcclPending : public Pending {
 public:
  NcclPending(std::shared_ptr<Communicator> communicator, const char* operation, NcclApi::Event event,
              std::vector<at::Tensor> tensors)
      : communicator_(std::move(communicator)),
        operation_(operation),
        event_(std::move(event)),
        tensors_(std::move(tensors)) {}

  void wait() override {
    if (!event_) return;
    communicator_->wait(operation_, event_);
    event_ = nullptr;
    tensors_.clear();
  }

 private:
  std::shared_ptr<Communicator> communicator_;
  const char* operation_;
  NcclApi::Event event_;
  std::vector<at::Tensor> tensors_;  // keeps the memory
};

class NcclCollective : public Collective {
 public:
  NcclCollective(std::shared_ptr<NcclApi> api, std::shared_ptr<Communicator> communicator)
      : api_(std::move(api)), communicator_(std::move(communicator)) {}

  int rank() const override { return communicator_->options().rank; }
  int world_size() const override { return communicator_->options().world_size; }
  bool supports_abort() const override { return true; }

  std::unique_ptr<Pending> all_reduce_async(at::Tensor tensor) override {
    check("all_reduce", tensor);
    if (tensor.numel() == 0) return std::make_unique<Nothing>();
    tensor = tensor.detach();
    return begin(
        "all_reduce", [&](void* handle) { return api_->all_reduce(handle, tensor); }, tensor);
  }

  void broadcast(at::Tensor tensor, int root) override {
    check("broadcast", tensor);
    if (tensor.numel() == 0) return;
    tensor = as_bytes_if_bool(tensor.detach());
    begin(
        "broadcast", [&](void* handle) { return api_->broadcast(handle, tensor, root); }, tensor)
        ->wait();
  }

  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    check("all_gather", tensor);
    std::vector<std::int64_t> shape = {world_size()};
    shape.insert(shape.end(), tensor.sizes().begin(), tensor.sizes().end());
    const at::Tensor output = at::empty(shape, tensor.options().requires_grad(false));
    gather("all_gather", output, tensor);
    return output.unbind(0);
  }

  void all_gather_into(at::Tensor output, const at::Tensor& input) override {
    check("all_gather_into", output);
    check("all_gather_into", input);
    check_all_gather_into(output, input, world_size());
    gather("all_gather_into", output, input);
  }

  std::unique_ptr<Pending> all_to_all_async(at::Tensor output, Splits output_splits, at::Tensor input,
                                            Splits input_splits) override {
    check("all_to_all", output);
    check("all_to_all", input);
    check_all_to_all(output, output_splits, input, input_splits, world_size());
    output = as_bytes_if_bool(output.detach());
    input = as_bytes_if_bool(input.detach());
    return begin(
        "all_to_all",
        [&](void* handle) { return api_->all_to_all(handle, output, output_splits, input, input_splits); },
        output, input);
  }

  void barrier() override {
    const at::Tensor one = at::ones({1}, at::TensorOptions().device(communicator_->options().device));
    begin(
        "barrier", [&](void* handle) { return api_->all_reduce(handle, one); }, one)
        ->wait();
  }

  void abort(const std::string& reason) override { communicator_->abort(reason); }

 private:
  using Call = std::function<NcclStatus(void*)>;
  std::unique_ptr<Pending> begin(const char* operation, const Call& call, const at::Tensor& tensor,
                                 const at::Tensor& other = {}) {
    return std::make_unique<NcclPending>(communicator_, operation, communicator_->enqueue(operation, call),
                                         std::vector<at::Tensor>{tensor, other});
  }

  void gather(const char* operation, const at::Tensor& output, const at::Tensor& input) {
    if (input.numel() == 0) return;
    const at::Tensor from = as_bytes_if_bool(input.detach());
    const at::Tensor to = as_bytes_if_bool(output.detach());
    begin(
        operation, [&](void* handle) { return api_->all_gather(handle, from, to); }, from, to)
        ->wait();
  }

  void check(const char* operation, const at::Tensor& tensor) const {
    const at::Device device = communicator_->options().device;
    if (tensor.device().type() == device.type() && tensor.is_contiguous()) return;
    throw Error(ErrorCode::kInvalidArgument, std::string(operation) + ": the tensor is on " +
                                                 tensor.device().str() +
                                                 (tensor.is_contiguous() ? "" : ", strided") +
                                                 "; it must be contiguous on " + device.str());
  }

  std::shared_ptr<NcclApi> api_;
  std::shared_ptr<Communicator> communicator_;
};

}  // namespace

std::unique_ptr<Collective> make_nccl_collective(std::shared_ptr<NcclApi> api,
                                                 const CollectiveOptions& options, const Exchange& exchange,
                                                 NcclTiming timing) {
  auto communicator = std::make_shared<Communicator>(api, options, std::move(timing));
  communicator->form(exchange);
  return std::make_unique<NcclCollective>(std::move(api), std::move(communicator));
}

}  // namespace mdgen::comm
