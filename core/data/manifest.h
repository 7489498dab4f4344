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

// Reads both splits and every array's header. Throws Error(kInvalidArgument) whose text lists all problems
// (the first 20 in full, then how many more): missing file or column, unknown letter, duplicate name, wrong
// shape or dtype, truncated file, sequence length against the array, too few frames, no replica present.
//
// overfit: the training split's first entry alone, as often as the split has rows; the validation set is the
// same and its split is not opened. overfit_peptide: that peptide 1000 times for both; no split is opened.
ManifestResult build_manifest(const v1::JobSpec& resolved);

// SHA-256 as Manifest.digest says.
std::string manifest_digest(const v1::Manifest& manifest);

// The path of a replica's array.
std::string array_file(const v1::JobSpec& resolved, const v1::Replica& replica);

}  // namespace mdgen::data
