#include "core/model/summary.h"

#include <set>
#include <string_view>

namespace mdgen::model {
namespace {

// "mdgen::model::FinalLayerImpl" -> "FinalLayer".
std::string short_type(std::string_view type) {
  constexpr std::string_view kSuffix = "Impl";
  const std::size_t colon = type.rfind(':');
  if (colon != std::string_view::npos) type.remove_prefix(colon + 1);
  if (type.ends_with(kSuffix)) type.remove_suffix(kSuffix.size());
  return std::string(type);
}

void append(const torch::nn::Module& module, const std::string& name, int depth_left,
            std::vector<ModuleSummary>& rows) {
  if (depth_left == 0) return;
  rows.push_back({name, short_type(module.name()), parameter_count(module)});
  for (const auto& child : module.named_children()) {
    append(*child.value(), name + "." + child.key(), depth_left - 1, rows);
  }
}

}  // namespace

std::int64_t parameter_count(const torch::nn::Module& module) {
  std::set<const at::TensorImpl*> seen;
  std::int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) {
    if (seen.insert(parameter.unsafeGetTensorImpl()).second) count += parameter.numel();
  }
  return count;
}

std::vector<ModuleSummary> summarize(const torch::nn::Module& module, const std::string& name,
                                     int max_depth) {
  std::vector<ModuleSummary> rows;
  append(module, name, max_depth, rows);
  return rows;
}

}  // namespace mdgen::model
