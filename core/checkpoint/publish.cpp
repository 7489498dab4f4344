#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/retention.h"
#include "core/checkpoint/store.h"
#include "core/checkpoint/temporary.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

bool verifies(const fs::path& folder) {
  try {
    verify(folder);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// NFS may report an error for a rename that happened, and a checkpoint may be written twice: equal manifests
// settle it.
bool already_published(const fs::path& target, const std::string& manifest) {
  return verifies(target) && read_file(target / kManifestFile) == manifest;
}

int rename_path(const fs::path& from, const fs::path& to) {
  return std::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

// A damaged folder of that name, of another job's run perhaps, makes way.
void rename_to_target(const fs::path& temporary, const fs::path& target, const std::string& manifest) {
  int reason = rename_path(temporary, target);
  if (reason == 0 || already_published(target, manifest)) return;
  if ((reason == EEXIST || reason == ENOTEMPTY) && !verifies(target)) {
    spdlog::warn("{} is damaged and is replaced", target.string());
    remove_checkpoint(target);
    reason = rename_path(temporary, target);
    if (reason == 0 || already_published(target, manifest)) return;
  }
  throw Error(ErrorCode::kUnavailable, "cannot publish " + target.string() + ": " + std::strerror(reason));
}

// Its temporary name is one that a later run sweeps.
void name_latest(const fs::path& checkpoints, const Name& name) {
  const fs::path hint = checkpoints / temporary_name(name);
  try {
    write_file_synced(hint, folder_name(name) + "\n");
    if (const int reason = rename_path(hint, checkpoints / "latest"); reason != 0)
      throw Error(ErrorCode::kUnavailable, hint.string() + ": " + std::strerror(reason));
    fsync_folder(checkpoints);
  } catch (const Error& error) {
    std::error_code ignored;
    fs::remove(hint, ignored);
    spdlog::warn("the hint to the newest checkpoint is not written: {}", error.what());
  }
}

}  // namespace

fs::path publish_recorded(const fs::path& checkpoints, const Name& name, const Summary& summary,
                          const std::function<std::vector<FileRecord>(const fs::path&)>& write) {
  make_folders(checkpoints);
  const fs::path target = checkpoints / folder_name(name);
  TemporaryFolder temporary(checkpoints, name);
  std::vector<FileRecord> files = write(temporary.path());
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string manifest = to_json({summary, std::move(files)});
  write_file_synced(temporary.path() / kManifestFile, manifest);
  fsync_folder(temporary.path());
  rename_to_target(temporary.path(), target, manifest);
  fsync_folder(checkpoints);
  name_latest(checkpoints, name);
  return target;
}

fs::path publish(const fs::path& checkpoints, const Name& name, const Summary& summary,
                 const std::function<void(const fs::path&)>& write) {
  return publish_recorded(checkpoints, name, summary, [&](const fs::path& folder) {
    write(folder);
    return record_files(folder);
  });
}

}  // namespace mdgen::checkpoint
