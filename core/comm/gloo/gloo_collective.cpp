#include "core/comm/gloo/gloo_collective.h"

#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <utility>

#include "core/base/error.h"
#include "core/comm/arguments.h"
#include "core/comm/gloo/connections.h"
#include "core/comm/gloo/exchange_store.h"

namespace mdgen::comm {
namespace {

using GlooDevice = std::shared_ptr<::gloo::transport::Device>;
constexpr std::chrono::milliseconds kDrainTimeout{
    500};  // for operations to end after their connections were cut

struct Endpoint {
  GlooDevice device;
  std::string address;  // where it listens
};

// Gloo does not tell the port that it took: it is that of the listening socket that appears.
Endpoint open_endpoint(const std::string& bind_address) {
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  std::set<std::string> before;
  for (const TcpSocket& socket : tcp_sockets()) {
    if (socket.listening) before.insert(socket.local);
  }
  Endpoint endpoint;
  try {
    endpoint.device = c10d::ProcessGroupGloo::createDeviceForHostname(bind_address);
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot listen on address '" + bind_address + "' for collectives: " + error.what());
  }
  for (const TcpSocket& socket : tcp_sockets()) {
    if (socket.listening && !before.contains(socket.local)) endpoint.address = socket.local;
  }
  return endpoint;
}

struct Operation {
  const char* name;
  c10::intrusive_ptr<c10d::Work> work;
  bool done = false;
};

// What Gloo's threads tell; it may outlive the group.
struct Progress {
  std::mutex mutex;
  std::condition_variable changed;
  int running = 0;  // operations that Gloo has not ended
  std::optional<std::pair<ErrorCode, std::string>> broken;
};

// What the object and its pending operations share. Waits end by our own signal, not by Gloo's: Gloo loses a
// send whose connection breaks at the moment at which the peer asks for it, and then waits until its timeout.
class Group {
 public:
  Group(const CollectiveOptions& options, const Exchange& exchange)
      : rank_(options.rank), world_size_(options.world_size) {
    Endpoint endpoint = open_endpoint(options.bind_address);
    const std::vector<std::string> addresses = exchange("gloo/address", endpoint.address);
    for (std::size_t rank = 0; rank < addresses.size(); ++rank) {
      listeners_.emplace(addresses[rank], static_cast<int>(rank));
    }
    auto gloo = c10d::ProcessGroupGloo::Options::create(options.forming_timeout);
    gloo->devices.push_back(std::move(endpoint.device));
    try {
      gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
          c10::make_intrusive<ExchangeStore>(exchange, "gloo"), rank_, world_size_, gloo);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw Error(ErrorCode::kUnavailable, where("forming the group") + ": " + error.what());
    }
    gloo_->setTimeout(options.timeout);
    // Nobody uses the group before all have it: a rank that is done early would break the others' forming.
    exchange("gloo/formed", "");
  }

  ~Group() {
    std::unique_lock lock(progress_->mutex);
    if (progress_->running > 0) cut_connections(listeners_);
    const bool ended =
        progress_->changed.wait_for(lock, kDrainTimeout, [&] { return progress_->running == 0; });
    if (ended) return;
    spdlog::warn("rank {}: Gloo does not end {} broken operations; its threads are left behind", rank_,
                 progress_->running);
    // Its destructor would wait for them.
    static_cast<void>(gloo_.release());
  }

  int rank() const { return rank_; }
  int world_size() const { return world_size_; }

  template <typename Begin>
  std::shared_ptr<Operation> begin(const char* name, const Begin& begin_work) {
    throw_if_broken(name);
    auto operation = std::make_shared<Operation>(Operation{name, nullptr});
    try {
      // LibTorch's flight recorder is shared by all groups of the process and inserts without a lock.
      static std::mutex recorder;
      const std::lock_guard lock(recorder);
      operation->work = begin_work(*gloo_);
    } catch (const std::exception& error) {
      fail(name, error.what());
    }
    {
      const std::lock_guard lock(progress_->mutex);
      ++progress_->running;
    }
    operation->work->getFuture()->addCallback([operation, progress = progress_](auto&) {
      const std::lock_guard lock(progress->mutex);
      operation->done = true;
      --progress->running;
      progress->changed.notify_all();
    });
    return operation;
  }

  void finish(Operation& operation) {
    {
      std::unique_lock lock(progress_->mutex);
      progress_->changed.wait(lock, [&] { return operation.done || progress_->broken.has_value(); });
    }
    throw_if_broken(operation.name);
    const auto future = operation.work->getFuture();
    if (future->hasError()) fail(operation.name, future->tryRetrieveErrorMessage());
  }

  template <typename Begin>
  void run(const char* name, const Begin& begin_work) {
    finish(*begin(name, begin_work));
  }

  void abort(const std::string& reason) { break_with(ErrorCode::kAborted, reason); }

 private:
  std::string where(const std::string& operation) const {
    return operation + " on rank " + std::to_string(rank_) + " of " + std::to_string(world_size_);
  }

  void break_with(ErrorCode code, const std::string& reason) {
    {
      const std::lock_guard lock(progress_->mutex);
      if (progress_->broken) return;
      progress_->broken.emplace(code, reason);
      progress_->changed.notify_all();
    }
    cut_connections(listeners_);
  }

  void throw_if_broken(const char* operation) {
    const std::lock_guard lock(progress_->mutex);
    if (!progress_->broken) return;
    throw CollectiveError(progress_->broken->first, where(operation) + ": " + progress_->broken->second);
  }

  [[noreturn]] void fail(const char* operation, const std::string& text) {
    const int culprit = rank_named_in(text, listeners_);
    const std::string who = culprit >= 0 ? "lost rank " + std::to_string(culprit) : "lost a rank";
    break_with(ErrorCode::kUnavailable, who + ": " + text);
    throw_if_broken(operation);
    std::abort();  // break_with leaves a reason
  }

  const int rank_;
  const int world_size_;
  Listeners listeners_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
  const std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
};

class GlooPending : public Pending {
 public:
  GlooPending(std::shared_ptr<Group> group, std::shared_ptr<Operation> operation)
      : group_(std::move(group)), operation_(std::move(operation)) {}
  void wait() override { group_->finish(*operation_); }

 private:
  std::shared_ptr<Group> group_;
  std::shared_ptr<Operation> operation_;
};

class GlooCollective : public Collective {
 public:
  explicit GlooCollective(std::shared_ptr<Group> group) : group_(std::move(group)) {}

  int rank() const override { return group_->rank(); }
  int world_size() const override { return group_->world_size(); }
  bool supports_abort() const override { return true; }

  std::unique_ptr<Pending> all_reduce_async(at::Tensor tensor) override {
    if (tensor.numel() == 0) return std::make_unique<Nothing>();
    std::vector<at::Tensor> tensors = {tensor.detach()};
    return std::make_unique<GlooPending>(
        group_, group_->begin("all_reduce", [&](auto& gloo) { return gloo.allreduce(tensors); }));
  }

  void broadcast(at::Tensor tensor, int root) override {
    if (tensor.numel() == 0) return;
    std::vector<at::Tensor> tensors = {as_bytes_if_bool(tensor.detach())};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    group_->run("broadcast", [&](auto& gloo) { return gloo.broadcast(tensors, options); });
  }

  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    std::vector<at::Tensor> result;
    for (int r = 0; r < world_size(); ++r) result.push_back(at::empty(tensor.sizes(), tensor.options()));
    if (tensor.numel() == 0) return result;
    std::vector<at::Tensor> inputs = {as_bytes_if_bool(tensor.detach())};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (const at::Tensor& part : result) outputs[0].push_back(as_bytes_if_bool(part));
    group_->run("all_gather", [&](auto& gloo) { return gloo.allgather(outputs, inputs); });
    return result;
  }

  // Each part is broadcast by its rank, in place: Gloo's own all-gather copies twice.
  void all_gather_into(at::Tensor output, const at::Tensor& input) override {
    check_all_gather_into(output, input, world_size());
    if (input.numel() == 0) return;
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> parts = as_bytes_if_bool(output.detach()).view({world_size(), -1}).unbind(0);
    at::Tensor& own = parts[static_cast<std::size_t>(rank())];
    if (own.data_ptr() != input.data_ptr()) own.copy_(as_bytes_if_bool(input.detach()).view({-1}));
    std::vector<std::shared_ptr<Operation>> operations;
    for (int root = 0; root < world_size(); ++root) {
      std::vector<at::Tensor> part = {parts[static_cast<std::size_t>(root)]};
      c10d::BroadcastOptions options;
      options.rootRank = root;
      operations.push_back(
          group_->begin("all_gather_into", [&](auto& gloo) { return gloo.broadcast(part, options); }));
    }
    for (const auto& operation : operations) group_->finish(*operation);
  }

  std::unique_ptr<Pending> all_to_all_async(at::Tensor output, Splits output_splits, at::Tensor input,
                                            Splits input_splits) override {
    check_all_to_all(output, output_splits, input, input_splits, world_size());
    output = as_bytes_if_bool(output.detach());
    input = as_bytes_if_bool(input.detach());
    return std::make_unique<GlooPending>(group_, group_->begin("all_to_all", [&](auto& gloo) {
      return gloo.alltoall_base(output, input, output_splits, input_splits);
    }));
  }

  void barrier() override {
    group_->run("barrier", [](auto& gloo) { return gloo.barrier(); });
  }

  void abort(const std::string& reason) override { group_->abort(reason); }

 private:
  std::shared_ptr<Group> group_;
};

}  // namespace

std::unique_ptr<Collective> make_gloo(const CollectiveOptions& options, const Exchange& exchange) {
  return std::make_unique<GlooCollective>(std::make_shared<Group>(options, exchange));
}

}  // namespace mdgen::comm
