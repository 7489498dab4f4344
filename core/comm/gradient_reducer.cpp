#include "core/comm/gradient_reducer.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include <mutex>
#include <utility>

#include "core/comm/gradient_layout.h"

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
  bool complete = false;  // in the last micro-batch
  bool reached = false;   // some backward pass of the step gave it a gradient, on this rank
  std::shared_ptr<torch::autograd::Node> accumulator{};
  std::uintptr_t hook = 0;
};

}  // namespace

struct GradientReducer::State : std::enable_shared_from_this<State> {
  State(Collective& with, const GradientLayout& layout) : collective(with) {
    flat = at::zeros({layout.elements()}, layout.options());
    reached = at::zeros({static_cast<std::int64_t>(layout.parameters().size())},
                        layout.options().dtype(at::kFloat));
  }

  void lay_out(const GradientLayout& layout, std::size_t bucket_bytes) {
    slots.resize(layout.parameters().size());
    std::int64_t start = 0;
    for (std::size_t i = slots.size(); i-- > 0;) {
      const at::Tensor& parameter = layout.parameters()[i];
      const std::int64_t offset = layout.offset(i);
      const std::int64_t end = offset + parameter.numel();
      const auto bytes = static_cast<std::size_t>(end - start) * parameter.element_size();
      if (buckets.empty() || (bytes > bucket_bytes && offset > start)) {
        buckets.emplace_back();
        start = offset;
      }
      Bucket& bucket = buckets.back();
      ++bucket.parameters;
      slots[i] = {parameter, layout.view(flat, i), buckets.size() - 1};
      bucket.span = flat.narrow(0, start, end - start);
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
    if (grad.defined()) slot.reached = true;
    if (grad.defined() && grad.data_ptr() != slot.view.data_ptr()) slot.view.copy_(grad);
    if (!grad.defined()) slot.view.zero_();
    grad = slot.view;
  }

  // `reached_now`: backward came with a gradient, not only past the parameter.
  void gradient_ready(std::size_t index, bool reached_now) {
    const std::lock_guard lock(mutex);
    Slot& slot = slots[index];
    slot.reached = slot.reached || reached_now;
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

  void send_reached_locked() {
    const at::Tensor mine = at::zeros(reached.sizes(), at::kFloat);
    for (std::size_t i = 0; i < slots.size(); ++i) mine.data_ptr<float>()[i] = slots[i].reached ? 1 : 0;
    reached.copy_(mine);
    in_flight.push_back(collective.all_reduce_async(reached));
  }

  // After the reduction: what no rank reached has no gradient, rather than one of zeros.
  void drop_unreached() {
    const at::Tensor ranks = reached.cpu();
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (ranks.const_data_ptr<float>()[i] > 0) continue;
      unreached.push_back(i);
      slots[i].parameter.mutable_grad().reset();
    }
  }

  void restart_locked() {
    sending = false;
    next_bucket = 0;
    in_flight.clear();
    unreached.clear();
    for (Slot& slot : slots) slot.complete = slot.reached = false;
    for (Bucket& bucket : buckets) bucket.missing = bucket.parameters;
  }

  Collective& collective;
  at::Tensor flat;
  at::Tensor reached;       // by parameter: how many ranks had a gradient for it
  std::vector<Slot> slots;  // in the parameters' order
  std::vector<Bucket> buckets;
  std::mutex mutex;  // hooks run on autograd's threads
  bool sending = false;
  std::size_t next_bucket = 0;
  std::vector<std::unique_ptr<Pending>> in_flight;
  std::vector<std::size_t> unreached;  // on no rank
};

namespace {

// Runs after a parameter's gradient was accumulated.
class ReadyHook : public torch::autograd::FunctionPostHook {
 public:
  using Ready = std::function<void(bool with_gradient)>;
  explicit ReadyHook(Ready ready) : ready_(std::move(ready)) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list& gradients) override {
    ready_(!gradients.empty() && gradients[0].defined());
    return outputs;
  }

 private:
  Ready ready_;
};

}  // namespace

void GradientReducer::State::install_hooks() {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    slot.accumulator = torch::autograd::impl::grad_accumulator(slot.parameter);
    slot.hook = slot.accumulator->add_post_hook(
        std::make_unique<ReadyHook>([state = weak_from_this(), i](bool with_gradient) {
          if (const auto alive = state.lock()) alive->gradient_ready(i, with_gradient);
        }));
  }
}

GradientReducer::GradientReducer(std::vector<at::Tensor> parameters, Collective& collective,
                                 std::size_t bucket_bytes) {
  const GradientLayout layout(std::move(parameters));
  state_ = std::make_shared<State>(collective, layout);
  state_->lay_out(layout, bucket_bytes);
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
    state_->send_reached_locked();
    in_flight = std::exchange(state_->in_flight, {});
  }
  for (const std::unique_ptr<Pending>& pending : in_flight) pending->wait();
  state_->drop_unreached();
}

const std::vector<std::size_t>& GradientReducer::parameters_without_gradient() const {
  return state_->unreached;
}

at::Tensor GradientReducer::flat() const { return state_->flat; }

}  // namespace mdgen::comm
