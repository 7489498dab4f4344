// A portable checkpoint of a small model, with values that tell every tensor from the others.
#pragma once

#include <cstring>
#include <memory>

#include "core/checkpoint/portable.h"
#include "core/config/spec.h"

namespace mdgen::testing {

inline checkpoint::PortableTensor filled(const std::vector<std::int64_t>& shape, float first) {
  std::size_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::size_t>(size);
  const auto bytes = std::make_shared<std::vector<std::byte>>(count * sizeof(float));
  for (std::size_t i = 0; i < count; ++i) {
    const float value = first + static_cast<float>(i) / 1024;
    std::memcpy(bytes->data() + i * sizeof(value), &value, sizeof(value));
  }
  return {"F32", shape, *bytes, bytes};
}

inline checkpoint::PortableTensor count(std::int64_t value) {
  const auto bytes = std::make_shared<std::vector<std::byte>>(sizeof(value));
  std::memcpy(bytes->data(), &value, sizeof(value));
  return {"I64", {}, *bytes, bytes};
}

inline v1::JobSpec small_spec() {
  v1::JobSpec spec = config::default_spec();
  spec.mutable_model()->set_sim_condition(true);
  spec.mutable_model()->set_embed_dim(16);
  spec.mutable_model()->set_mha_heads(2);
  spec.mutable_model()->set_num_layers(1);
  spec.mutable_optim()->set_ema(true);
  return spec;
}

inline checkpoint::Portable portable_of(const v1::JobSpec& spec) {
  checkpoint::Portable result;
  result.source = "made for a test";
  result.spec = spec;
  result.has_spec = true;
  float next = 0;
  for (const checkpoint::LayoutTensor& tensor : checkpoint::model_layout(spec)) {
    result.model[tensor.name] = filled(tensor.shape, next);
    result.ema[tensor.name] = filled(tensor.shape, next + 0.25F);
    if (tensor.role == checkpoint::LayoutTensor::Role::kParameter) {
      result.optimizer["exp_avg." + tensor.name] = filled(tensor.shape, next + 0.5F);
      result.optimizer["exp_avg_sq." + tensor.name] = filled(tensor.shape, next + 0.75F);
    }
    next += 1;
  }
  result.optimizer["step"] = count(40);
  result.optimizer_steps = 40;
  result.epochs_done = 2;
  return result;
}

}  // namespace mdgen::testing
