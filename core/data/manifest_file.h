// The manifest on its way to the ranks: manifest.json in the run folder, which all nodes share. The
// coordinator writes it once; an assignment names only its digest (hundreds of kilobytes for each of
// thousands of ranks would be gigabytes at every start). No LibTorch.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

inline constexpr const char* kManifestFile = "manifest.json";

// Throws Error(kNotFound) when the folder has none, Error(kDataLoss) when it cannot be read or its contents
// have another digest than `digest`.
v1::JobManifest read_manifest(const std::filesystem::path& run_folder, const std::string& digest);

// The same, asked again after `pause` up to `attempts` times: a network file system may show what was there
// before for some seconds. `sleep` is called between two attempts.
v1::JobManifest await_manifest(const std::filesystem::path& run_folder, const std::string& digest,
                               int attempts, std::chrono::milliseconds pause,
                               const std::function<void(std::chrono::milliseconds)>& sleep);

}  // namespace mdgen::data
