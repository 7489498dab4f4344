// The tensors of the reference's LatentMDGenModel, from the job spec alone: names, shapes and order of its
// state_dict. The order of the learned ones is that of Lightning's optimizer state, which knows parameters by
// number only. No LibTorch: what reads and writes checkpoints need not build a model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"

namespace mdgen::checkpoint {

struct LayoutTensor {
  enum class Role {
    kParameter,
    kBuffer,
    kTied,  // the parameter `tied_to` under another name (Hyena's frequencies)
  };
  std::string name;
  std::vector<std::int64_t> shape;
  Role role = Role::kParameter;
  std::string tied_to{};
};
using ModelLayout = std::vector<LayoutTensor>;

// A pure function of model.*, data.num_frames and data.crop.
ModelLayout model_layout(const v1::JobSpec& resolved);

// The names of the parameters, each once, in the optimizer's order.
std::vector<std::string> parameter_names(const ModelLayout& layout);

}  // namespace mdgen::checkpoint
