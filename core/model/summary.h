// What a module is made of, as Lightning's ModelSummary lists it.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mdgen::model {

struct ModuleSummary {
  std::string name;  // "model.layers"
  std::string type;  // "ModuleList"
  std::int64_t parameters = 0;
};

// `module` itself, called `name`, is depth 1; deeper ones follow in the order of registration. A parameter
// under several names counts once; buffers do not count.
std::vector<ModuleSummary> summarize(const torch::nn::Module& module, const std::string& name = "model",
                                     int max_depth = 2);

std::int64_t parameter_count(const torch::nn::Module& module);

}  // namespace mdgen::model
