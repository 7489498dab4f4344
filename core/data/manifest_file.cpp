#include "core/data/manifest_file.h"

#include <google/protobuf/util/json_util.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/data/manifest.h"

namespace mdgen::data {

v1::JobManifest read_manifest(const std::filesystem::path& run_folder, const std::string& digest) {
  const std::filesystem::path file = run_folder / kManifestFile;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    throw Error(ErrorCode::kNotFound, file.string() + " is missing: do all nodes share the run folder?");
  v1::JobManifest manifest;
  const auto status = google::protobuf::util::JsonStringToMessage(read_file(file), &manifest);
  if (!status.ok())
    throw Error(ErrorCode::kDataLoss, file.string() + " is not a manifest: " + status.ToString());
  const std::string found = job_manifest_digest(manifest);
  if (found != digest)
    throw Error(ErrorCode::kDataLoss, file.string() + " has digest " + found + ", the job's manifest has " +
                                          digest + ": it was changed, or belongs to another job");
  return manifest;
}

v1::JobManifest await_manifest(const std::filesystem::path& run_folder, const std::string& digest,
                               int attempts, std::chrono::milliseconds pause,
                               const std::function<void(std::chrono::milliseconds)>& sleep) {
  for (int attempt = 1; attempt < attempts; ++attempt) {
    try {
      return read_manifest(run_folder, digest);
    } catch (const Error&) {
      sleep(pause);
    }
  }
  return read_manifest(run_folder, digest);
}

}  // namespace mdgen::data
