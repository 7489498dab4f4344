#include <yaml-cpp/yaml.h>

#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

// Plain where every YAML reader takes it for text, quoted elsewhere.
bool is_plain_text(const std::string& text) {
  const auto is_safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '/' || c == '.' || c == '-';
  };
  for (char c : text) {
    if (!is_safe(c)) return false;
  }
  static const std::string_view words[] = {"true", "false", "null", "yes", "no", "on",
                                           "off",  "y",     "n",    "nan", "inf"};
  std::string lower;
  for (char c : text) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (std::string_view word : words) {
    if (lower == word) return false;
  }
  const char first = text.empty() ? '-' : text.front();
  return (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/';
}

void write(YAML::Emitter& out, const Field& field, const Value& value) {
  out << YAML::Key << field.name << YAML::Value;
  const std::string text = value_text(value);
  if (std::holds_alternative<std::string>(value) && !is_plain_text(text)) out << YAML::DoubleQuoted;
  out << text;
}

}  // namespace

std::string to_yaml(const JobSpec& spec) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  std::string open_group;
  for (const Field& field : Schema::get().fields()) {
    const std::optional<Value> value = get_value(spec, field);
    if (!value) continue;
    if (field.group != open_group) {
      if (!open_group.empty()) out << YAML::EndMap;
      if (!field.group.empty()) out << YAML::Key << field.group << YAML::Value << YAML::BeginMap;
      open_group = field.group;
    }
    write(out, field, *value);
  }
  if (!open_group.empty()) out << YAML::EndMap;
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace mdgen::config
