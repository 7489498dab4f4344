// The host memory that a checkpoint is written from. Internal to core/checkpoint.
#pragma once

#include <c10/core/Event.h>
#include <torch/torch.h>

#include <optional>
#include <vector>

#include "core/checkpoint/train_state.h"

namespace mdgen::checkpoint {

// Allocated once, page-locked for what lies on a device. copy() and the others come from one thread at a
// time.
class SnapshotBuffer {
 public:
  // Allocates and touches memory for what looks like `like`, so that the first copy() costs what later ones
  // cost. Reads no value: `like` may be in use.
  void prepare(const TrainState& like);

  // Copies `live`. On the CPU it is done when this returns. From a device the copy runs on a stream of its
  // own: what the caller's current stream is asked from now on waits for it, the host does not.
  void copy(const TrainState& live);
  // Until the bytes are here.
  void wait();

  const TrainState& state() const { return state_; }

 private:
  using Tensors = std::map<std::string, at::Tensor>;

  Tensors matching(const Tensors& like, Tensors old);
  void start(const Tensors& from, Tensors& to);

  TrainState state_;
  std::vector<c10::Event> copied_;
};

}  // namespace mdgen::checkpoint
