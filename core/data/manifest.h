// What a data set is made of. No LibTorch.
#pragma once

#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"

namespace mdgen::data {

struct ManifestResult {
  v1::JobManifest manifest;
  std::vector<std::string> warnings;  // such as fewer than three replicas under atlas
};

// examine_data() (preflight.h) for who cannot go on with problems: throws Error(kInvalidArgument) whose text
// lists the first 20 and says how many more there are.
ManifestResult build_manifest(const v1::JobSpec& resolved);

// SHA-256 as Manifest.digest says.
std::string manifest_digest(const v1::Manifest& manifest);
// SHA-256 as JobManifest.digest says, from the entries of both.
std::string job_manifest_digest(const v1::JobManifest& manifest);

// The path of a replica's array.
std::string array_file(const v1::JobSpec& resolved, const v1::Replica& replica);

}  // namespace mdgen::data
