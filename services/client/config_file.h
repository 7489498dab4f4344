// What a person has set once for all calls: ~/.config/mdgen/config.yaml.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace mdgen::client {

enum class Output { kTable, kJson, kYaml };

// Nothing for a name that is none of table, json, yaml.
std::optional<Output> output_named(const std::string& name);

// `address: HOST:PORT`, `ca: FILE`, `token_file: FILE`, `output: table|json|yaml`; each may be absent.
struct ClientConfig {
  std::string address;
  std::filesystem::path ca;  // as token_file: absolute; "~/" is the home folder, others start beside the file
  std::filesystem::path token_file;
  std::optional<Output> output;
};

using Variable = std::function<std::string(const std::string& name)>;

// MDGEN_CONFIG, else mdgen/config.yaml in XDG_CONFIG_HOME or ~/.config; empty without a home folder.
std::filesystem::path config_file_of(const Variable& variable);

// Throws UsageError that names the source, the line and the key.
ClientConfig parse_config(const std::string& text, const std::filesystem::path& source,
                          const std::filesystem::path& home);

// Of config_file_of; the empty one when there is no such file, unless MDGEN_CONFIG names it. Throws
// UsageError.
ClientConfig load_config(const Variable& variable);

}  // namespace mdgen::client
