// A train state as a row of bytes: to compare it with other ranks' and to move it to them.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/checkpoint/train_state.h"
#include "core/comm/collective.h"

namespace mdgen::train {

// 16 hexadecimal digits over step and samples, and every tensor's name, type, shape and bytes.
std::string state_digest(const checkpoint::TrainState& state);

// One tensor of a state, and where its bytes begin in the row: at a multiple of 64.
struct TensorPlace {
  std::string part;  // model, ema, optimizer
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;
  std::int64_t bytes = 0;

  bool operator==(const TensorPlace&) const = default;
};

struct StateLayout {
  std::vector<TensorPlace> places;  // by part and name
  std::int64_t bytes = 0;           // of the row

  bool operator==(const StateLayout&) const = default;
};
StateLayout layout_of(const checkpoint::TrainState& state);
std::string to_json(const StateLayout& layout);
StateLayout state_layout_from_json(const std::string& text);

// Moves the tensors of `source`'s state, each bit as it is, in pieces of 16 MiB. `live` is read on the source
// alone. A rank that `receives` gets tensors in fresh host memory, which nothing else refers to; others get
// an empty state. Every rank must call it. Summary and texts are left to the caller. Throws what Collective
// throws.
checkpoint::TrainState broadcast_tensors(comm::Collective& collective, at::Device device, int source,
                                         bool receives, const StateLayout& layout,
                                         const checkpoint::TrainState& live);

}  // namespace mdgen::train
