// safetensors' names of dtypes.
#pragma once

#include <torch/torch.h>

#include <string>

namespace mdgen::checkpoint {

// "F32" -> at::kFloat. Throws Error(kDataLoss) naming `tensor` for a dtype that is none of safetensors'.
at::ScalarType dtype_of(const std::string& tensor, const std::string& name);

}  // namespace mdgen::checkpoint
