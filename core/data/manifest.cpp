#include "core/data/manifest.h"

#include <filesystem>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/data/preflight.h"
#include "core/data/split.h"

namespace mdgen::data {

ManifestResult build_manifest(const v1::JobSpec& resolved) {
  v1::Preflight found = examine_data(resolved);
  if (found.problems_size() > 0) {
    const std::vector<std::string> problems(found.problems().begin(), found.problems().end());
    throw Error(ErrorCode::kInvalidArgument, problems_text(problems, ""));
  }
  return {std::move(*found.mutable_manifest()), {found.warnings().begin(), found.warnings().end()}};
}

std::string job_manifest_digest(const v1::JobManifest& manifest) {
  return sha256_hex(manifest_digest(manifest.train()) + "\n" + manifest_digest(manifest.val()) + "\n");
}

std::string manifest_digest(const v1::Manifest& manifest) {
  Sha256 digest;
  digest.update("mdgen manifest 1\n");
  for (const v1::ManifestEntry& entry : manifest.entries()) {
    digest.update("entry " + entry.name() + " " + entry.seqres() + " " + std::to_string(entry.residues()) +
                  "\n");
    for (const v1::Replica& replica : entry.replicas()) {
      digest.update("replica " + std::to_string(replica.index()) + " " +
                    std::filesystem::path(replica.file()).filename().string() + " " +
                    std::to_string(replica.frames()) + " " + replica.dtype() + " " +
                    std::to_string(replica.bytes()) + "\n");
    }
  }
  if (manifest.items() > 0) digest.update("items " + std::to_string(manifest.items()) + "\n");
  return digest.hex();
}

std::string array_file(const v1::JobSpec& resolved, const v1::Replica& replica) {
  return (std::filesystem::path(resolved.data().data_dir()) / replica.file()).string();
}

}  // namespace mdgen::data
