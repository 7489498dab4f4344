// manifest.json: what a checkpoint folder holds. Internal to core/checkpoint.
#pragma once

#include <filesystem>
#include <string>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr int kManifestVersion = 1;

std::string to_json(const Manifest& manifest);

// Throws Error(kDataLoss) naming `source`: not JSON, a missing or ill-typed member, a file name with a path
// in it.
Manifest manifest_from_json(const std::string& text, const std::string& source);

// Records size and digest of every file in `folder` but the manifest itself, by name; fsyncs each.
std::vector<FileRecord> record_files(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
