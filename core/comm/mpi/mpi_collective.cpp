#include "core/comm/mpi/mpi_collective.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/comm/arguments.h"
#include "core/comm/mpi/launch.h"
#include "core/comm/plugins.h"

namespace mdgen::comm {
namespace {

using Milliseconds = std::chrono::milliseconds;
constexpr Milliseconds kFarewell{5'000};

struct Task {
  std::function<std::string()> call;
  bool done = false;
  std::string error{};
};

// The tasks of the one thread that calls MPI; the thread keeps it alive.
class Queue {
 public:
  std::shared_ptr<Task> post(std::function<std::string()> call) {
    auto task = std::make_shared<Task>(Task{std::move(call)});
    const std::lock_guard lock(mutex_);
    tasks_.push_back(task);
    changed_.notify_all();
    return task;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  void run() {
    while (true) {
      std::shared_ptr<Task> task;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      std::string error = task->call();
      const std::lock_guard lock(mutex_);
      task->call = nullptr;
      task->error = std::move(error);
      task->done = true;
      changed_.notify_all();
    }
  }

  // Until `condition` holds or the time is over; it is evaluated under the lock.
  bool wait(Milliseconds timeout, const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, condition);
  }
  bool is_done(const Task& task) {
    const std::lock_guard lock(mutex_);
    return task.done;
  }
  template <typename Change>
  void change(const Change& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Task>> tasks_;
  bool closed_ = false;
};

class Group {
 public:
  Group(std::shared_ptr<MpiApi> api, std::shared_ptr<Queue> queue, const CollectiveOptions& options)
      : api_(std::move(api)), queue_(std::move(queue)), options_(options) {}

  // A last meeting, so that nobody's process ends while another still waits for its bytes.
  ~Group() {
    const std::shared_ptr<Task> task =
        broken_ ? nullptr
                : queue_->post([api = api_, c = communicator_] { return c ? api->barrier(c) : ""; });
    if (task) queue_->wait(kFarewell, [&] { return task->done; });
  }

  const CollectiveOptions& options() const { return options_; }

  void form() {
    const auto made = std::make_shared<MpiApi::Communicator>();
    const auto task =
        begin("forming the group", [api = api_, made] { return api->make_communicator(*made); });
    finish("forming the group", *task, options_.forming_timeout);
    communicator_ = *made;
  }

  using Call = std::function<std::string(MpiApi&, const MpiApi::Communicator&)>;
  std::shared_ptr<Task> start(const char* operation, Call call) {
    return begin(operation, [api = api_, communicator = communicator_, call = std::move(call)] {
      return call(*api, communicator);
    });
  }

  void finish(const char* operation, const Task& task) { finish(operation, task, options_.timeout); }

  void run(const char* operation, Call call) { finish(operation, *start(operation, std::move(call))); }

  void abort(const std::string& reason) { break_with(ErrorCode::kAborted, reason); }

 private:
  std::shared_ptr<Task> begin(const char* operation, std::function<std::string()> call) {
    throw_if_broken(operation);
    return queue_->post([this_broken = broken_flag_, call = std::move(call)] {
      return *this_broken ? std::string("not begun: the group is broken") : call();
    });
  }

  void finish(const char* operation, const Task& task, Milliseconds timeout) {
    const bool ended = queue_->wait(timeout, [&] { return task.done || broken_.has_value(); });
    throw_if_broken(operation);
    if (!ended) {
      break_with(ErrorCode::kUnavailable, "not done after " + std::to_string(timeout.count()) + " ms");
    } else if (!task.error.empty()) {
      break_with(ErrorCode::kUnavailable, "MPI: " + task.error);
    }
    throw_if_broken(operation);
  }

  void break_with(ErrorCode code, const std::string& reason) {
    queue_->change([&] {
      if (!broken_) broken_.emplace(code, reason);
      *broken_flag_ = true;
    });
  }

  void throw_if_broken(const char* operation) {
    std::optional<std::pair<ErrorCode, std::string>> broken;
    queue_->change([&] { broken = broken_; });
    if (!broken) return;
    throw CollectiveError(broken->first, std::string(operation) + " on rank " +
                                             std::to_string(options_.rank) + " of " +
                                             std::to_string(options_.world_size) + ": " + broken->second);
  }

  std::shared_ptr<MpiApi> api_;
  std::shared_ptr<Queue> queue_;
  const CollectiveOptions options_;
  MpiApi::Communicator communicator_;
  std::optional<std::pair<ErrorCode, std::string>> broken_;  // under the queue's lock
  const std::shared_ptr<std::atomic<bool>> broken_flag_ = std::make_shared<std::atomic<bool>>(false);
};

class MpiPending : public Pending {
 public:
  MpiPending(std::shared_ptr<Group> group, const char* operation, std::shared_ptr<Task> task)
      : group_(std::move(group)), operation_(operation), task_(std::move(task)) {}
  void wait() override { group_->finish(operation_, *task_); }

 private:
  std::shared_ptr<Group> group_;
  const char* operation_;
  std::shared_ptr<Task> task_;
};

class MpiCollective : public Collective {
 public:
  explicit MpiCollective(std::shared_ptr<Group> group) : group_(std::move(group)) {}

  int rank() const override { return group_->options().rank; }
  int world_size() const override { return group_->options().world_size; }
  bool supports_abort() const override { return false; }

  std::unique_ptr<Pending> all_reduce_async(at::Tensor tensor) override {
    if (tensor.numel() == 0) return std::make_unique<Nothing>();
    return begin("all_reduce", [tensor = tensor.detach()](MpiApi& api, const auto& communicator) {
      return api.all_reduce(communicator, tensor);
    });
  }

  void broadcast(at::Tensor tensor, int root) override {
    if (tensor.numel() == 0) return;
    group_->run("broadcast",
                [tensor = as_bytes_if_bool(tensor.detach()), root](MpiApi& api, const auto& communicator) {
                  return api.broadcast(communicator, tensor, root);
                });
  }

  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    std::vector<std::int64_t> shape = {world_size()};
    shape.insert(shape.end(), tensor.sizes().begin(), tensor.sizes().end());
    const at::Tensor output = at::empty(shape, tensor.options().requires_grad(false));
    gather("all_gather", output, tensor);
    return output.unbind(0);
  }

  void all_gather_into(at::Tensor output, const at::Tensor& input) override {
    check_all_gather_into(output, input, world_size());
    gather("all_gather_into", output, input);
  }

  std::unique_ptr<Pending> all_to_all_async(at::Tensor output, Splits output_splits, at::Tensor input,
                                            Splits input_splits) override {
    check_all_to_all(output, output_splits, input, input_splits, world_size());
    return begin("all_to_all", [to = as_bytes_if_bool(output.detach()),
                                from = as_bytes_if_bool(input.detach()), in = std::move(output_splits),
                                out = std::move(input_splits)](MpiApi& api, const auto& communicator) {
      return api.all_to_all(communicator, to, in, from, out);
    });
  }

  void barrier() override {
    group_->run("barrier", [](MpiApi& api, const auto& communicator) { return api.barrier(communicator); });
  }

  void abort(const std::string& reason) override { group_->abort(reason); }

 private:
  std::unique_ptr<Pending> begin(const char* operation, Group::Call call) {
    return std::make_unique<MpiPending>(group_, operation, group_->start(operation, std::move(call)));
  }
  void gather(const char* operation, const at::Tensor& output, const at::Tensor& input) {
    if (input.numel() == 0) return;
    group_->run(
        operation,
        [to = as_bytes_if_bool(output.detach()), from = as_bytes_if_bool(input.detach().contiguous())](
            MpiApi& api, const auto& communicator) { return api.all_gather(communicator, to, from); });
  }

  std::shared_ptr<Group> group_;
};

}  // namespace

struct MpiProcess::State {
  explicit State(std::shared_ptr<MpiApi> with) : api(std::move(with)) {
    std::thread([queue = queue] { queue->run(); }).detach();
  }

  void start(const CollectiveOptions& options, const Exchange& exchange);
  void start_mpi(const CollectiveOptions& options, const Exchange& exchange);

  std::mutex mutex;  // one group forms at a time
  std::shared_ptr<MpiApi> api;
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
  std::optional<MpiHost> host;
  bool by_mpirun = false;
  std::string world;  // the name of MPI's group of processes; "" before it was started
  int rank = -1;
  bool runs = false;
};

void MpiProcess::State::start_mpi(const CollectiveOptions& options, const Exchange& exchange) {
  std::pair<int, int> place{-1, -1};
  const auto found = std::make_shared<std::pair<int, int>>(place);
  const auto task = queue->post([api = api, found] { return api->init(found->first, found->second); });
  if (host) {
    host->serve(
        exchange, [&] { return queue->is_done(*task); }, options);
  } else if (!queue->wait(options.forming_timeout, [&] { return task->done; })) {
    throw Error(ErrorCode::kUnavailable, "forming the group: MPI has not started after " +
                                             std::to_string(options.forming_timeout.count()) + " ms");
  }
  if (!task->error.empty()) throw Error(ErrorCode::kUnavailable, "forming the group: " + task->error);
  place = *found;
  if (place != std::pair(options.rank, options.world_size)) {
    throw Error(ErrorCode::kInternal, "MPI has started as rank " + std::to_string(place.first) + " of " +
                                          std::to_string(place.second) + ", not as rank " +
                                          std::to_string(options.rank) + " of " +
                                          std::to_string(options.world_size));
  }
}

void MpiProcess::State::start(const CollectiveOptions& options, const Exchange& exchange) {
  const std::optional<MpirunPlace> given = mpirun_place();
  const bool fits = given && given->rank == options.rank && given->world_size == options.world_size;
  const std::string new_name = "mdgen-" + std::to_string(::getpid()) + "-" +
                               std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
  std::vector<MpiState> states;
  for (const std::string& text :
       exchange("mpi/world", to_text({world, rank, fits ? given->name : "", new_name}))) {
    states.push_back(mpi_state_from(text));
  }
  const MpiStart start = decide_start(states);
  if (start.how == MpiStart::How::kRunsAlready) return;
  world = start.world;
  rank = options.rank;
  by_mpirun = start.how == MpiStart::How::kByMpirun;
  if (!by_mpirun) {
    host.emplace(world, options.rank, options.world_size);
    host->set_environment(options.bind_address);
  }
  start_mpi(options, exchange);
  runs = true;
}

MpiProcess::MpiProcess(std::shared_ptr<MpiApi> api) : state_(std::make_shared<State>(std::move(api))) {}

MpiProcess::~MpiProcess() {
  // mpirun takes a process that ends without this for a failed one.
  if (state_->by_mpirun && state_->runs) {
    const auto task = state_->queue->post([api = state_->api] { return api->finalize(); });
    state_->queue->wait(kFarewell, [&] { return task->done; });
  }
  state_->queue->close();
}

std::unique_ptr<Collective> MpiProcess::make_group(const CollectiveOptions& options,
                                                   const Exchange& exchange) {
  const std::lock_guard lock(state_->mutex);
  state_->start(options, exchange);
  auto group = std::make_shared<Group>(state_->api, state_->queue, options);
  group->form();
  return std::make_unique<MpiCollective>(std::move(group));
}

std::unique_ptr<Collective> make_mpi(const CollectiveOptions& options, const Exchange& exchange) {
  static MpiProcess process([] {
    using MakeApi = void (*)(std::unique_ptr<MpiApi>*);
    const auto make_api = reinterpret_cast<MakeApi>(plugin_symbol(
        "libmdgen_mpi.so", "mdgen_make_mpi_api", "install OpenMPI (libopenmpi3) on every worker"));
    std::unique_ptr<MpiApi> api;
    make_api(&api);
    return std::shared_ptr<MpiApi>(std::move(api));
  }());
  return process.make_group(options, exchange);
}

}  // namespace mdgen::comm
