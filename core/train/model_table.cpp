#include "core/train/model_table.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace mdgen::train {

std::string readable_count(std::int64_t count) {
  constexpr std::array<std::string_view, 5> kUnits = {" ", "K", "M", "B", "T"};
  auto value = static_cast<double>(count);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return unit == 0 || value >= 100 ? fmt::format("{} {}", static_cast<std::int64_t>(value), kUnits[unit])
                                   : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::vector<std::string> model_table(const std::vector<model::ModuleSummary>& modules, std::int64_t trainable,
                                     std::int64_t parameters, int bytes) {
  std::size_t names = 4;
  std::size_t types = 4;
  for (const model::ModuleSummary& module : modules) {
    names = std::max(names, module.name.size());
    types = std::max(types, module.type.size());
  }
  const std::size_t number = std::to_string(modules.size()).size();
  const auto row = [&](const std::string& index, const std::string& name, const std::string& type,
                       const std::string& count) {
    return fmt::format("{:<{}} | {:<{}} | {:<{}} | {:>6}", index, number, name, names, type, types, count);
  };
  std::vector<std::string> lines = {row("", "Name", "Type", "Params")};
  const std::string rule(lines.front().size(), '-');
  lines.push_back(rule);
  for (std::size_t i = 0; i < modules.size(); ++i) {
    lines.push_back(
        row(std::to_string(i), modules[i].name, modules[i].type, readable_count(modules[i].parameters)));
  }
  lines.push_back(rule);
  lines.push_back(fmt::format("{:<10}Trainable params", readable_count(trainable)));
  lines.push_back(fmt::format("{:<10}Non-trainable params", readable_count(parameters - trainable)));
  lines.push_back(fmt::format("{:<10}Total params", readable_count(parameters)));
  lines.push_back(fmt::format("{:<10.3f}Total estimated model params size (MB)",
                              static_cast<double>(parameters) * bytes * 1e-6));
  return lines;
}

}  // namespace mdgen::train
