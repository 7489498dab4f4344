#include "services/client/config_file.h"

#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/yaml.h>

#include <map>

#include "core/base/error.h"
#include "core/base/files.h"
#include "services/client/usage_error.h"

namespace mdgen::client {
namespace fs = std::filesystem;
namespace {

UsageError wrong(const fs::path& source, const YAML::Mark& mark, const std::string& what) {
  return UsageError(mark.line < 0 ? source.string() + ": " + what
                                  : fmt::format("{}:{}: {}", source.string(), mark.line + 1, what));
}

fs::path path_in(const std::string& text, const fs::path& source, const fs::path& home) {
  if (text.starts_with("~/")) return home / text.substr(2);
  return source.parent_path() / text;  // an absolute one stays
}

}  // namespace

std::optional<Output> output_named(const std::string& name) {
  static const std::map<std::string, Output> outputs = {
      {"table", Output::kTable}, {"json", Output::kJson}, {"yaml", Output::kYaml}};
  const auto found = outputs.find(name);
  return found == outputs.end() ? std::nullopt : std::optional(found->second);
}

fs::path config_file_of(const Variable& variable) {
  if (const std::string named = variable("MDGEN_CONFIG"); !named.empty()) return named;
  if (const std::string base = variable("XDG_CONFIG_HOME"); !base.empty())
    return fs::path(base) / "mdgen" / "config.yaml";
  const std::string home = variable("HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".config" / "mdgen" / "config.yaml";
}

ClientConfig parse_config(const std::string& text, const fs::path& source, const fs::path& home) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    throw wrong(source, error.mark, error.msg);
  }
  ClientConfig config;
  if (root.IsNull()) return config;
  if (!root.IsMap()) throw wrong(source, root.Mark(), "not a map of keys to values");
  for (const auto& entry : root) {
    const std::string key = entry.first.as<std::string>("");
    if (!entry.second.IsScalar()) throw wrong(source, entry.first.Mark(), "\"" + key + "\" needs a text");
    const std::string value = entry.second.Scalar();
    if (key == "address") {
      config.address = value;
    } else if (key == "ca") {
      config.ca = path_in(value, source, home);
    } else if (key == "token_file") {
      config.token_file = path_in(value, source, home);
    } else if (key == "output") {
      config.output = output_named(value);
      if (!config.output)
        throw wrong(source, entry.second.Mark(), "output \"" + value + "\" is none of table, json, yaml");
    } else {
      throw wrong(source, entry.first.Mark(),
                  "unknown key \"" + key + "\"; there are address, ca, token_file, output");
    }
  }
  return config;
}

ClientConfig load_config(const Variable& variable) {
  const fs::path file = config_file_of(variable);
  std::error_code not_there;
  if (file.empty() || (variable("MDGEN_CONFIG").empty() && !fs::exists(file, not_there))) return {};
  try {
    return parse_config(read_file(file), file, variable("HOME"));
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

}  // namespace mdgen::client
