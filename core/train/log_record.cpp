#include "core/train/log_record.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace mdgen::train {
namespace {

using nlohmann::ordered_json;

ordered_json means_of(const LogRecord& record) {
  ordered_json json;
  const std::string prefix = record.prefix + "_";
  for (const auto& [name, value] : record.means) json[prefix + name] = value;
  for (const auto& [name, value] : record.named.numbers) json[prefix + name] = value;
  return json;
}

ordered_json counters_of(const LogRecord& record) {
  return {{"trainer_step", record.trainer_step},
          {"iter_step", record.iter_step},
          {record.prefix + "_count", record.count},
          {"lr", record.lr}};
}

std::string python_text(const ordered_json& value) {
  if (!value.is_number_float() || std::isfinite(value.get<double>())) return value.dump();
  const auto number = value.get<double>();
  return std::isnan(number) ? "nan" : (number > 0 ? "inf" : "-inf");
}

}  // namespace

NamedMeans scalars(const LogRecord& record) {
  NamedMeans all;
  const auto take = [&all](const ordered_json& json) {
    for (const auto& [name, value] : json.items()) all.emplace_back(name, value.get<double>());
  };
  take(means_of(record));
  take({{"epoch", record.epoch}});
  take(counters_of(record));
  return all;
}

std::string metrics_line(const LogRecord& record) {
  ordered_json line{{"step", record.trainer_step}, {"epoch", record.epoch}};
  line.update(means_of(record));
  for (const auto& [name, texts] : record.named.texts) line[record.prefix + "_" + name] = texts;
  line.update(counters_of(record));
  return line.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string dictionary_text(const LogRecord& record) {
  ordered_json dictionary = means_of(record);
  dictionary["epoch"] = record.epoch;
  dictionary.update(counters_of(record));
  std::string text;
  for (const auto& [name, value] : dictionary.items()) {
    text += (text.empty() ? "{'" : ", '") + name + "': " + python_text(value);
  }
  return text + "}";
}

}  // namespace mdgen::train
