// The reference's results for the geometry, as tensors.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "core/format/safetensors.h"

namespace mdgen::protein {

inline at::Tensor golden(const std::string& name) {
  static const format::SafetensorsFile file(std::filesystem::path(MDGEN_SOURCE_DIR) /
                                            "tests/golden/geometry.safetensors");
  const format::TensorInfo& info = file.tensors().at(name);
  const void* data = file.bytes(name).data();
  return at::from_blob(const_cast<void*>(data), info.shape, info.dtype == "I64" ? at::kLong : at::kFloat)
      .clone();
}

// The largest difference relative to the largest magnitude of `wanted`.
inline double relative_difference(const at::Tensor& got, const at::Tensor& wanted) {
  EXPECT_EQ(got.sizes(), wanted.sizes());
  return ((got - wanted).abs().max() / wanted.abs().max()).item<double>();
}

inline constexpr double kTolerance = 2e-5;

}  // namespace mdgen::protein
