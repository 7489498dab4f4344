#include "core/comm/gradient_reducer.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <mutex>
#include <utility>

#include "core/base/error.h"

namespace mdgen::comm {
namespace {

struct Bucket {
  at::Tensor span;  // (elements) of the flat buffer
  std::size_t parameters = 0;
  std::size_t missing = 0;  // gradients that the running backward still owes
};

struct Slot {
  at::Tensor parameter;
  at::Tensor view;  // the parameter's shape, in the flat buffer
  std::size_t bucket = 0;
  bool complete = false;
  std::shared_ptr<torch::autograd::Node> accumulator{};
  std::uintptr_t hook = 0;
};

std::int64_t check_and_count(const std::vector<at::Tensor>& parameters) {
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& parameter = parameters[i];
    const std::string which = "parameter " + std::to_string(i) + " of " + std::to_string(parameters.size());
    if (!parameter.is_leaf() || !parameter.requires_grad()) {
      throw Error(ErrorCode::kInvalidArgument, which + " is no leaf that requires a gradient");
    }
    if (parameter.options().dtype() != parameters[0].options().dtype() ||
        parameter.device() != parameters[0].device()) {
      throw Error(ErrorCode::kInvalidArgument, which + " differs from the first in type or device");
    }
    elements += parameter.numel();
  }
  return elements;
}

}  // namespace

struct GradientReducer::State : std::enable_shared_from_this<State> {
  State(Collective& with, const std::vector<at::Tensor>& parameters) : collective(with) {
    const std::int64_t elements = check_and_count(parameters);
    flat = parameters.empty() ? at::empty({0})
                              : at::zeros({elements}, parameters[0].options().requires_grad(false));
  }

  void lay_out(const std::vector<at::Tensor>& parameters, std::size_t bucket_bytes) {
    slots.resize(parameters.size());
    std::int64_t offset = 0;
    std::int64_t start = 0;
    for (std::size_t i = parameters.size(); i-- > 0;) {
      const at::Tensor& parameter = parameters[i];
      const auto bytes =
          static_cast<std::size_t>((offset - start + parameter.numel())) * parameter.element_size();
      if (buckets.empty() || (bytes > bucket_bytes && offset > start)) {
        buckets.emplace_back();
        start = offset;
      }
      Bucket& bucket = buckets.back();
      ++bucket.parameters;
      slots[i] = {parameter, flat.narrow(0, offset, parameter.numel()).view(parameter.sizes()),
                  buckets.size() - 1};
      offset += parameter.numel();
      bucket.span = flat.narrow(0, start, offset - start);
    }
  }

  void install_hooks();
  void remove_hooks() {
    for (Slot& slot : slots) {
      if (slot.accumulator) slot.accumulator->del_post_hook(slot.hook);
    }
  }

  // A gradient that somebody put elsewhere is brought back into the buffer.
  static void adopt(Slot& slot) {
    const at::NoGradGuard no_grad;
    at::Tensor& grad = slot.parameter.mutable_grad();
    if (grad.defined() && grad.is_same(slot.view)) return;
    if (grad.defined() && grad.data_ptr() != slot.view.data_ptr()) slot.view.copy_(grad);
    if (!grad.defined()) slot.view.zero_();
    grad = slot.view;
  }

  void gradient_ready(std::size_t index) {
    const std::lock_guard lock(mutex);
    Slot& slot = slots[index];
    if (!sending || slot.complete) return;
    adopt(slot);
    slot.complete = true;
    --buckets[slot.bucket].missing;
    while (next_bucket < buckets.size() && buckets[next_bucket].missing == 0) send_next_locked();
  }

  void send_next_locked() {
    in_flight.push_back(collective.all_reduce_async(buckets[next_bucket].span));
    ++next_bucket;
  }

  void restart_locked() {
    sending = false;
    next_bucket = 0;
    in_flight.clear();
    for (Slot& slot : slots) slot.complete = false;
    for (Bucket& bucket : buckets) bucket.missing = bucket.parameters;
  }

  Collective& collective;
  at::Tensor flat;
  std::vector<Slot> slots;  // in the parameters' order
  std::vector<Bucket> buckets;
  std::mutex mutex;  // hooks run on autograd's threads
  bool sending = false;
  std::size_t next_bucket = 0;
  std::vector<std::unique_ptr<Pending>> in_flight;
};

namespace {

// Runs after a parameter's gradient was accumulated.
class ReadyHook : public torch::autograd::FunctionPostHook {
 public:
  explicit ReadyHook(std::function<void()> ready) : ready_(std::move(ready)) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    ready_();
    return outputs;
  }

 private:
  std::function<void()> ready_;
};

}  // namespace

void GradientReducer::State::install_hooks() {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    slot.accumulator = torch::autograd::impl::grad_accumulator(slot.parameter);
    slot.hook = slot.accumulator->add_post_hook(std::make_unique<ReadyHook>([state = weak_from_this(), i] {
      if (const auto alive = state.lock()) alive->gradient_ready(i);
    }));
  }
}

GradientReducer::GradientReducer(std::vector<at::Tensor> parameters, Collective& collective,
                                 std::size_t bucket_bytes)
    : state_(std::make_shared<State>(collective, parameters)) {
  state_->lay_out(parameters, bucket_bytes);
  state_->install_hooks();
}

GradientReducer::~GradientReducer() { state_->remove_hooks(); }

void GradientReducer::start_step() {
  const std::lock_guard lock(state_->mutex);
  state_->restart_locked();
  state_->flat.zero_();
  for (Slot& slot : state_->slots) slot.parameter.mutable_grad() = slot.view;
}

void GradientReducer::start_last_backward() {
  const std::lock_guard lock(state_->mutex);
  state_->sending = true;
}

void GradientReducer::finish_step() {
  std::vector<std::unique_ptr<Pending>> in_flight;
  {
    const std::lock_guard lock(state_->mutex);
    for (Slot& slot : state_->slots) {
      if (!slot.complete) State::adopt(slot);
    }
    while (state_->next_bucket < state_->buckets.size()) state_->send_next_locked();
    state_->sending = false;
    in_flight = std::exchange(state_->in_flight, {});
  }
  for (const std::unique_ptr<Pending>& pending : in_flight) pending->wait();
}

at::Tensor GradientReducer::flat() const { return state_->flat; }

}  // namespace mdgen::comm
