#include "core/checkpoint/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"

namespace mdgen::checkpoint {

using Json = nlohmann::ordered_json;

std::string to_json(const Manifest& manifest) {
  Json files = Json::array();
  for (const FileRecord& file : manifest.files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  const Json json = {{"version", kManifestVersion},
                     {"step", manifest.summary.step},
                     {"epoch", manifest.summary.epoch},
                     {"samples", manifest.summary.samples},
                     {"spec_digest", manifest.summary.spec_digest},
                     {"plan_digest", manifest.summary.plan_digest},
                     {"files", files}};
  return json.dump(2) + "\n";
}

Manifest manifest_from_json(const std::string& text, const std::string& source) {
  try {
    const Json json = Json::parse(text);
    if (const int version = json.at("version").get<int>(); version != kManifestVersion)
      throw Error(ErrorCode::kDataLoss, source + " has version " + std::to_string(version) +
                                            ", this program reads " + std::to_string(kManifestVersion));
    Manifest manifest;
    manifest.summary = {json.at("step").get<std::int64_t>(), json.at("epoch").get<std::int64_t>(),
                        json.at("samples").get<std::int64_t>(), json.at("spec_digest").get<std::string>(),
                        json.at("plan_digest").get<std::string>()};
    for (const Json& entry : json.at("files")) {
      FileRecord file{entry.at("name").get<std::string>(), entry.at("bytes").get<std::int64_t>(),
                      entry.at("sha256").get<std::string>()};
      if (file.name.empty() || file.name.find('/') != std::string::npos || file.name == "..")
        throw Error(ErrorCode::kDataLoss, source + " names a file outside its folder: '" + file.name + "'");
      manifest.files.push_back(std::move(file));
    }
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, source + " is not a checkpoint's manifest: " + error.what());
  }
}

std::vector<FileRecord> record_files(const std::filesystem::path& folder) {
  std::vector<FileRecord> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (!entry.is_regular_file())
      throw Error(ErrorCode::kInternal,
                  entry.path().string() + " is not a regular file: it cannot be in a checkpoint");
    if (entry.path().filename() == kManifestFile) continue;
    fsync_file(entry.path());
    files.push_back({entry.path().filename().string(), static_cast<std::int64_t>(entry.file_size()),
                     sha256_file(entry.path())});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

}  // namespace mdgen::checkpoint
