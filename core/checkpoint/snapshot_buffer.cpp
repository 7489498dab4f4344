#include "core/checkpoint/snapshot_buffer.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace mdgen::checkpoint {
namespace {

// At the sizes of `like`, whatever its strides.
at::Tensor warm(const at::Tensor& like) {
  const auto options = at::TensorOptions().dtype(like.dtype()).pinned_memory(!like.device().is_cpu());
  at::Tensor memory = at::empty(like.sizes(), options);
  if (memory.nbytes() > 0) std::memset(memory.data_ptr(), 0, memory.nbytes());
  return memory;
}

bool fits(const at::Tensor& memory, const at::Tensor& like) {
  return memory.sizes() == like.sizes() && memory.scalar_type() == like.scalar_type();
}

// A thousand small copies by several threads wait for the slowest of them a thousand times.
void copy_bytes(const at::Tensor& from, at::Tensor& to) {
  if (from.device().is_cpu() && from.is_contiguous()) {
    if (from.nbytes() > 0) std::memcpy(to.data_ptr(), from.data_ptr(), from.nbytes());
  } else {
    to.copy_(from.detach(), /*non_blocking=*/!from.device().is_cpu());
  }
}

// Lets the device's side stream follow what is under way, and what comes follow the side stream.
class SideStream {
 public:
  explicit SideStream(at::Device device)
      : guard_(device.type()),
        compute_(guard_.getStream(device)),
        side_(guard_.getStreamFromGlobalPool(device)) {
    c10::Event ready(device.type());
    ready.record(compute_);
    ready.block(side_);
  }
  template <typename Copies>
  c10::Event run(const Copies& copies) {
    c10::Event copied(compute_.device_type());
    {
      const c10::StreamGuard on_side(side_);
      copies();
      copied.record(side_);
    }
    copied.block(compute_);
    return copied;
  }

 private:
  c10::impl::VirtualGuardImpl guard_;
  c10::Stream compute_;
  c10::Stream side_;
};

}  // namespace

SnapshotBuffer::Tensors SnapshotBuffer::matching(const Tensors& like, Tensors old) {
  Tensors memory;
  for (const auto& [name, tensor] : like) {
    const auto found = old.find(name);
    const bool reuse = found != old.end() && fits(found->second, tensor);
    memory.emplace(name, reuse ? found->second : warm(tensor));
  }
  return memory;
}

void SnapshotBuffer::prepare(const TrainState& like) {
  state_.model = matching(like.model, std::move(state_.model));
  state_.ema = matching(like.ema, std::move(state_.ema));
  state_.optimizer = matching(like.optimizer, std::move(state_.optimizer));
}

void SnapshotBuffer::start(const Tensors& from, Tensors& to) {
  for (const auto& [name, tensor] : from) copy_bytes(tensor, to.at(name));
}

void SnapshotBuffer::copy(const TrainState& live) {
  const at::NoGradGuard no_grad;
  prepare(live);
  const auto all = [&] {
    start(live.model, state_.model);
    start(live.ema, state_.ema);
    start(live.optimizer, state_.optimizer);
  };
  const auto on_device = std::find_if(live.model.begin(), live.model.end(),
                                      [](const auto& entry) { return !entry.second.device().is_cpu(); });
  if (on_device == live.model.end()) {
    all();
  } else {
    copied_.push_back(SideStream(on_device->second.device()).run(all));
  }
  state_.summary = live.summary;
  state_.spec_json = live.spec_json;
  state_.loop_json = live.loop_json;
  state_.ledger_json = live.ledger_json;
}

void SnapshotBuffer::wait() {
  for (const c10::Event& event : copied_) event.synchronize();
  copied_.clear();
}

}  // namespace mdgen::checkpoint
