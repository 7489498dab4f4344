#include "core/prep/record.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/format/input_file.h"

namespace mdgen::prep {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kRecordFormat = 1;
constexpr int kProcedure = 1;  // to be raised with every change that gives other arrays from the same input

json to_json(const FileIdentity& file) {
  return {{"path", to_utf8(file.path)},
          {"size", file.size},
          {"modified_ns", file.modified_ns},
          {"ends_sha256", file.ends_sha256}};
}

FileIdentity to_identity(const json& object) {
  return {object.at("path"), object.at("size"), object.at("modified_ns"), object.at("ends_sha256")};
}

std::string change(const FileIdentity& recorded, const FileIdentity& found) {
  if (recorded.size != found.size)
    return found.path + " has " + std::to_string(found.size) + " bytes, had " + std::to_string(recorded.size);
  if (recorded.ends_sha256 != found.ends_sha256) return found.path + " has other content";
  if (recorded.modified_ns != found.modified_ns) return found.path + " was modified since";
  return "";
}

// "stride 40, was 1".
std::string option_changes(const json& recorded, const json& wanted) {
  std::vector<std::string> changes;
  for (const auto& [key, value] : wanted.items()) {
    const json before = recorded.value(key, json());
    if (before != value) changes.push_back(key + " " + value.dump() + ", was " + before.dump());
  }
  return join(changes, "; ");
}

Record read_record(const fs::path& array) {
  const json object = json::parse(read_file(record_file(array)));
  if (object.at("format") != kRecordFormat)
    throw Error(ErrorCode::kDataLoss, "its format is " + object.at("format").dump());
  Record record;
  record.topology = to_identity(object.at("topology"));
  record.trajectory = to_identity(object.at("trajectory"));
  record.options = object.at("options").dump();
  record.residue_names = object.at("residue_names").get<std::set<std::string>>();
  record.sequence = object.at("sequence");
  record.frames_read = object.at("frames_read");
  record.frames = object.at("frames");
  record.mended = object.at("mended");
  record.array_bytes = object.at("array_bytes");
  record.array_sha256 = object.at("array_sha256");
  record.notes = object.at("notes").get<std::vector<std::string>>();
  return record;
}

}  // namespace

FileIdentity identify(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0)
    throw Error(ErrorCode::kNotFound, file.string() + ": " + std::strerror(errno));
  const format::InputFile input(file);
  constexpr std::size_t kEnd = 64 * 1024;
  constexpr std::int64_t kNanoseconds = 1'000'000'000;
  std::vector<std::byte> bytes(std::min(kEnd, input.size()));
  Sha256 digest;
  for (const std::size_t at : {std::size_t{0}, input.size() - bytes.size()})
    digest.update(bytes.data(), input.read(at, bytes));
  return {file.string(), input.size(), status.st_mtim.tv_sec * kNanoseconds + status.st_mtim.tv_nsec,
          digest.hex()};
}

std::string options_text(const ConvertOptions& options, const SelectionRules& rules,
                         const std::set<std::string>& residue_names) {
  json map = json::object();
  for (const auto& [name, parent] : rules.parents)
    if (residue_names.count(name) > 0) map[to_utf8(name)] = parent;
  json drop = json::array();
  for (const std::string& name : rules.drop)
    if (residue_names.count(name) > 0) drop.push_back(to_utf8(name));
  return json{{"procedure", kProcedure},
              {"stride", options.stride},
              {"dtype", options.half ? "float16" : "float32"},
              {"unwrap", options.unwrap},
              {"center", options.center},
              {"chain", rules.chain ? json(to_utf8(*rules.chain)) : json()},
              {"map", map},
              {"drop", drop}}
      .dump();
}

fs::path record_file(const fs::path& array) {
  return array.parent_path() / ".mdgen-prep" / (array.filename().string() + ".json");
}

void write_record(const fs::path& array, const Record& record) {
  fs::create_directories(record_file(array).parent_path());
  const json object = {{"format", kRecordFormat},
                       {"version", MDGEN_VERSION},
                       {"topology", to_json(record.topology)},
                       {"trajectory", to_json(record.trajectory)},
                       {"options", json::parse(record.options)},
                       {"residue_names", record.residue_names},
                       {"sequence", record.sequence},
                       {"frames_read", record.frames_read},
                       {"frames", record.frames},
                       {"mended", record.mended},
                       {"array_bytes", record.array_bytes},
                       {"array_sha256", record.array_sha256},
                       {"notes", record.notes}};
  replace_file(record_file(array), object.dump(1) + "\n");
}

std::variant<Record, std::string> find_current(const fs::path& array, const FileIdentity& topology,
                                               const FileIdentity& trajectory, const ConvertOptions& options,
                                               const SelectionRules& rules) {
  if (!fs::exists(array)) return "";
  if (!fs::exists(record_file(array))) return "there is no record of how it was made";
  Record record;
  try {
    record = read_record(array);
  } catch (const std::exception& error) {
    return "its record cannot be read: " + std::string(error.what());
  }
  if (std::string text = change(record.topology, topology); !text.empty()) return text;
  if (std::string text = change(record.trajectory, trajectory); !text.empty()) return text;
  const json wanted = json::parse(options_text(options, rules, record.residue_names));
  if (std::string text = option_changes(json::parse(record.options), wanted); !text.empty()) return text;
  if (fs::file_size(array) != record.array_bytes || sha256_file(array) != record.array_sha256)
    return "the array is not the one that was written: another size or SHA-256";
  return record;
}

}  // namespace mdgen::prep
