#include "core/config/yaml_text.h"

#include <yaml-cpp/yaml.h>

#include <cctype>

namespace mdgen::config {
namespace {

void emit(YAML::Emitter& out, const Json& json) {
  if (json.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      out << YAML::Key;
      // Plain, it would be a number.
      if (!key.empty() && std::isdigit(static_cast<unsigned char>(key.front())) != 0)
        out << YAML::DoubleQuoted;
      out << key << YAML::Value;
      emit(out, value);
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    out << YAML::BeginSeq;
    for (const Json& item : json) emit(out, item);
    out << YAML::EndSeq;
  } else if (json.is_string()) {
    out << YAML::DoubleQuoted << json.get_ref<const std::string&>();
  } else if (json.is_null()) {
    out << YAML::Null;
  } else {
    out << json.dump();
  }
}

}  // namespace

std::string yaml_text(const Json& json) {
  YAML::Emitter out;
  emit(out, json);
  return std::string(out.c_str()) + "\n";
}

}  // namespace mdgen::config
