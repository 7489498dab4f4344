// manifest.json: what a checkpoint folder holds. Internal to core/checkpoint.
#pragma once

#include <filesystem>
#include <string>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

inline constexpr const char* kManifestFile = "manifest.json";
// Version 1 had no digest of itself and no validation loss.
inline constexpr int kManifestVersion = 2;

std::string to_json(const Manifest& manifest);

// Throws Error(kDataLoss) naming `source`: another digest than its own, not JSON, a missing or ill-typed
// member, no files, a file name with a path in it or given twice.
Manifest manifest_from_json(const std::string& text, const std::string& source);

// Records size and digest of every file in `folder` but the manifest itself, by name; fsyncs each.
std::vector<FileRecord> record_files(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
