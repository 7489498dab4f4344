// What the coordinator asks of and does to run folders (work_dir/name). I/O only; errors name the folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/job_spec.pb.h"
#include "mdgen/v1/manifest.pb.h"
#include "services/coordinator/confinement.h"

namespace mdgen::coordinator {

// What lies in a run folder before a job gets it.
struct FolderFacts {
  std::filesystem::path folder;      // absolute, links resolved
  bool used = false;                 // somebody trained there
  bool has_checkpoints = false;      // by name; nothing is opened
  std::int64_t last_generation = 0;  // of the checkpoints, those that were never finished too
  int last_attempt = 0;              // of the logs
};

// Throws Error(kInvalidArgument) when the name is no plain folder name, or the folder, or another path of the
// spec, lies outside `roots`.
FolderFacts inspect_run_folder(const v1::JobSpec& spec, const Roots& roots);

// Creates the folder with its logs folder and writes spec.yaml.
void prepare_run_folder(const std::filesystem::path& folder, const v1::JobSpec& spec);
// preflight.json: all that an examination found, but for the manifest.
std::filesystem::path preflight_file(const std::filesystem::path& folder);
void write_preflight(const std::filesystem::path& folder, const v1::Preflight& found);
// Writes manifest.json.
void write_manifest(const std::filesystem::path& folder, const v1::JobManifest& manifest);

std::filesystem::path log_file(const std::filesystem::path& folder, int rank, int attempt);
// The attempts that have a log of this rank, in order.
std::vector<int> log_attempts(const std::filesystem::path& folder, int rank);

}  // namespace mdgen::coordinator
