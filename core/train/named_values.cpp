#include "core/train/named_values.h"

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/train/agreement.h"

namespace mdgen::train {
namespace {

using nlohmann::json;

// Numbers as their bits: JSON has neither NaN nor infinity.
std::string pack(const std::map<std::int64_t, NamedValues>& batches) {
  json list = json::array();
  for (const auto& [index, values] : batches) {
    if (values.empty()) continue;
    json numbers = json::object();
    for (const auto& [name, value] : values.numbers) numbers[name] = std::bit_cast<std::uint64_t>(value);
    list.push_back({{"batch", index}, {"numbers", numbers}, {"texts", values.texts}});
  }
  return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

void unpack(const std::string& text, std::map<std::int64_t, NamedValues>& batches) {
  for (const json& entry : json::parse(text)) {
    NamedValues& values = batches[entry["batch"].get<std::int64_t>()];
    for (const auto& [name, bits] : entry["numbers"].items()) {
      values.numbers[name] = std::bit_cast<double>(bits.get<std::uint64_t>());
    }
    values.texts = entry["texts"].get<std::map<std::string, std::string>>();
  }
}

}  // namespace

NamedSummary gather_values(comm::Collective& collective, at::Device device,
                           const std::map<std::int64_t, NamedValues>& mine) {
  std::map<std::int64_t, NamedValues> all;
  for (const std::string& text : gather_texts(collective, device, pack(mine))) unpack(text, all);
  NamedSummary summary;
  std::map<std::string, std::int64_t> counts;
  for (const auto& [index, values] : all) {
    for (const auto& [name, value] : values.numbers) {
      double& sum = summary.numbers[name];
      if (std::isnan(value)) continue;
      sum += value;
      ++counts[name];
    }
    for (const auto& [name, value] : values.texts) summary.texts[name].push_back(value);
  }
  for (auto& [name, sum] : summary.numbers) {
    const std::int64_t count = counts[name];
    sum = count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
  }
  return summary;
}

}  // namespace mdgen::train
