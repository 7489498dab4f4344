#include "core/checkpoint/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::checkpoint {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::string_view kSelf = "\"manifest_sha256\": \"";
constexpr std::size_t kDigits = 64;

// The manifest's own digest is that of its text with zeros in the digest's place.
std::string self_digest(std::string text, std::size_t at) {
  text.replace(at, kDigits, kDigits, '0');
  return sha256_hex(text);
}

void check_self(const std::string& text, const std::string& source) {
  const std::size_t key = text.find(kSelf);
  const std::size_t at = key + kSelf.size();
  if (key == std::string::npos || at + kDigits > text.size())
    throw Error(ErrorCode::kDataLoss, source + " is not a checkpoint's manifest: it has no digest of itself");
  if (const std::string digest = self_digest(text, at); text.compare(at, kDigits, digest) != 0)
    throw Error(ErrorCode::kDataLoss,
                source + " is damaged: its SHA-256 is " + digest + ", it says " + text.substr(at, kDigits));
}

FileRecord file_from_json(const Json& entry, const std::string& source) {
  FileRecord file{entry.at("name").get<std::string>(), entry.at("bytes").get<std::int64_t>(),
                  entry.at("sha256").get<std::string>()};
  if (file.name.empty() || file.name.find('/') != std::string::npos || file.name == ".." || file.name == ".")
    throw Error(ErrorCode::kDataLoss, source + " names a file outside its folder: '" + file.name + "'");
  return file;
}

}  // namespace

std::int64_t Manifest::bytes() const {
  return std::accumulate(files.begin(), files.end(), std::int64_t{0},
                         [](std::int64_t sum, const FileRecord& file) { return sum + file.bytes; });
}

std::string to_json(const Manifest& manifest) {
  Json files = Json::array();
  for (const FileRecord& file : manifest.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  Json json = {{"version", kManifestVersion},
               {"manifest_sha256", std::string(kDigits, '0')},
               {"step", manifest.summary.step},
               {"epoch", manifest.summary.epoch},
               {"samples", manifest.summary.samples},
               {"spec_digest", manifest.summary.spec_digest},
               {"plan_digest", manifest.summary.plan_digest}};
  if (manifest.summary.val_loss) json["val_loss"] = *manifest.summary.val_loss;
  json["files"] = std::move(files);
  std::string text = json.dump(2) + "\n";
  const std::size_t at = text.find(kSelf) + kSelf.size();
  return text.replace(at, kDigits, self_digest(text, at));
}

Manifest manifest_from_json(const std::string& text, const std::string& source) {
  try {
    const Json json = Json::parse(text);
    const int version = json.at("version").get<int>();
    if (version < 1 || version > kManifestVersion)
      throw Error(ErrorCode::kDataLoss, source + " has version " + std::to_string(version) +
                                            ", this program reads " + std::to_string(kManifestVersion));
    if (version > 1 || json.contains("manifest_sha256")) check_self(text, source);
    Manifest manifest;
    manifest.summary = {.step = json.at("step").get<std::int64_t>(),
                        .epoch = json.at("epoch").get<std::int64_t>(),
                        .samples = json.at("samples").get<std::int64_t>(),
                        .spec_digest = json.at("spec_digest").get<std::string>(),
                        .plan_digest = json.at("plan_digest").get<std::string>()};
    if (json.contains("val_loss")) manifest.summary.val_loss = json.at("val_loss").get<double>();
    std::set<std::string> names;
    for (const Json& entry : json.at("files")) {
      const FileRecord& file = manifest.files.emplace_back(file_from_json(entry, source));
      if (!names.insert(file.name).second)
        throw Error(ErrorCode::kDataLoss, source + " names " + file.name + " twice");
    }
    if (names.empty()) throw Error(ErrorCode::kDataLoss, source + " names no file");
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, source + " is not a checkpoint's manifest: " + error.what());
  }
}

std::vector<FileRecord> record_files(const std::filesystem::path& folder) {
  std::vector<FileRecord> files;
  for (const std::string& name : names_in_folder(folder)) {
    const std::filesystem::path file = folder / name;
    if (!std::filesystem::is_regular_file(file))
      throw Error(ErrorCode::kInternal,
                  file.string() + " is not a regular file: it cannot be in a checkpoint");
    if (name == kManifestFile) continue;
    fsync_file(file);
    files.push_back({name, static_cast<std::int64_t>(std::filesystem::file_size(file)), sha256_file(file)});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

}  // namespace mdgen::checkpoint
