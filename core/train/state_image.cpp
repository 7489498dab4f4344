#include "core/train/state_image.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/fast_digest.h"

namespace mdgen::train {
namespace {

using nlohmann::json;
using Tensors = std::map<std::string, at::Tensor>;

constexpr std::int64_t kAlignment = 64;
constexpr std::int64_t kPiece = 16 << 20;

template <typename State, typename Visit>
void for_each_part(State& state, const Visit& visit) {
  visit("model", state.model);
  visit("ema", state.ema);
  visit("optimizer", state.optimizer);
}

at::Tensor bytes_of(const at::Tensor& tensor) {
  return tensor.detach().contiguous().reshape({-1}).view(at::kByte);
}

std::string head_of(const TensorPlace& place) {
  std::string head = place.part + "/" + place.name + " " + c10::toString(place.type);
  for (const std::int64_t extent : place.shape) head += " " + std::to_string(extent);
  return head + "\n";
}

// The source's tensors, as one row that is read piece by piece.
class Row {
 public:
  Row(const StateLayout& layout, const checkpoint::TrainState& state) : layout_(layout) {
    for_each_part(state, [&](const char*, const Tensors& tensors) {
      for (const auto& [name, tensor] : tensors) tensors_.push_back(tensor);
    });
  }

  // The bytes [offset, offset + piece.numel()).
  void read(std::int64_t offset, const at::Tensor& piece) const {
    const std::int64_t end = offset + piece.numel();
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const TensorPlace& place = layout_.places[i];
      const std::int64_t from = std::max(offset, place.offset);
      const std::int64_t to = std::min(end, place.offset + place.bytes);
      if (from >= to) continue;
      piece.narrow(0, from - offset, to - from)
          .copy_(bytes_of(tensors_[i]).narrow(0, from - place.offset, to - from));
    }
  }

 private:
  const StateLayout& layout_;
  std::vector<at::Tensor> tensors_;
};

at::Tensor tensor_at(const TensorPlace& place, const at::Tensor& row) {
  if (place.bytes == 0) return at::empty(place.shape, at::dtype(place.type));
  return row.narrow(0, place.offset, place.bytes).view(place.type).view(place.shape);
}

}  // namespace

std::string state_digest(const checkpoint::TrainState& state) {
  FastDigest digest;
  digest.update(std::to_string(state.summary.step) + " " + std::to_string(state.summary.samples) + "\n");
  for_each_part(state, [&](const char* part, const Tensors& tensors) {
    for (const auto& [name, tensor] : tensors) {
      digest.update(head_of({part, name, tensor.scalar_type(), tensor.sizes().vec()}));
      const at::Tensor host = tensor.detach().cpu().contiguous();
      digest.update(host.const_data_ptr(), host.nbytes());
    }
  });
  return digest.hex();
}

StateLayout layout_of(const checkpoint::TrainState& state) {
  StateLayout layout;
  for_each_part(state, [&](const char* part, const Tensors& tensors) {
    for (const auto& [name, tensor] : tensors) {
      const auto bytes = static_cast<std::int64_t>(tensor.nbytes());
      layout.places.push_back({part, name, tensor.scalar_type(), tensor.sizes().vec(), layout.bytes, bytes});
      layout.bytes += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
  });
  return layout;
}

std::string to_json(const StateLayout& layout) {
  json list = json::array();
  for (const TensorPlace& place : layout.places) {
    list.push_back(
        {place.part, place.name, static_cast<int>(place.type), place.shape, place.offset, place.bytes});
  }
  return json{{"bytes", layout.bytes}, {"places", list}}.dump();
}

StateLayout state_layout_from_json(const std::string& text) {
  const json object = json::parse(text);
  StateLayout layout;
  layout.bytes = object.at("bytes");
  for (const json& place : object.at("places")) {
    layout.places.push_back(
        {place[0], place[1], static_cast<at::ScalarType>(place[2].get<int>()), place[3], place[4], place[5]});
  }
  return layout;
}

checkpoint::TrainState broadcast_tensors(comm::Collective& collective, at::Device device, int source,
                                         bool receives, const StateLayout& layout,
                                         const checkpoint::TrainState& live) {
  const at::NoGradGuard no_grad;
  const bool sends = collective.rank() == source;
  const Row row(layout, sends ? live : checkpoint::TrainState{});
  const at::Tensor second = receives ? at::empty({layout.bytes}, at::kByte) : at::Tensor();
  const at::Tensor piece = at::zeros({std::min(layout.bytes, kPiece)}, at::dtype(at::kByte).device(device));
  for (std::int64_t offset = 0; offset < layout.bytes; offset += kPiece) {
    const std::int64_t size = std::min(kPiece, layout.bytes - offset);
    const at::Tensor part = piece.narrow(0, 0, size);
    if (sends) row.read(offset, part);
    collective.broadcast(part, source);
    if (receives) second.narrow(0, offset, size).copy_(part);
  }
  checkpoint::TrainState received;
  if (!receives) return received;
  std::map<std::string, Tensors*> parts;
  for_each_part(received, [&](const char* part, Tensors& tensors) { parts[part] = &tensors; });
  for (const TensorPlace& place : layout.places) {
    parts.at(place.part)->emplace(place.name, tensor_at(place, second));
  }
  return received;
}

}  // namespace mdgen::train
