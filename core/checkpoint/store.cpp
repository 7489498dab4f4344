#include "core/checkpoint/store.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/log.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/retention.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

// Removes an unfinished folder unless it has been published.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) { fs::create_directories(path_); }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }
  void release() { path_.clear(); }

 private:
  fs::path path_;
};

bool verifies(const fs::path& folder) {
  try {
    verify(folder);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

// NFS may report an error for a rename that happened, and a checkpoint may be written twice: equal manifests
// settle it.
bool already_published(const fs::path& target, const std::string& manifest) {
  return verifies(target) && read_file(target / kManifestFile) == manifest;
}

// A damaged folder of that name, of another job's run perhaps, makes way.
bool rename_over_damaged(const fs::path& temporary, const fs::path& target) {
  if (std::rename(temporary.c_str(), target.c_str()) == 0) return true;
  const int reason = errno;
  if ((reason == EEXIST || reason == ENOTEMPTY) && !verifies(target)) {
    spdlog::warn("{} is damaged and is replaced", target.string());
    remove_folder(target);
    return std::rename(temporary.c_str(), target.c_str()) == 0;
  }
  errno = reason;
  return false;
}

void check_file(const fs::path& folder, const FileRecord& record) {
  const fs::path file = folder / record.name;
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  if (error) throw Error(ErrorCode::kDataLoss, file.string() + " is missing: " + error.message());
  if (static_cast<std::int64_t>(bytes) != record.bytes)
    throw Error(ErrorCode::kDataLoss, file.string() + " has " + std::to_string(bytes) +
                                          " bytes, its manifest says " + std::to_string(record.bytes));
  if (const std::string digest = sha256_file(file); digest != record.sha256)
    throw Error(ErrorCode::kDataLoss,
                file.string() + " has SHA-256 " + digest + ", its manifest says " + record.sha256);
}

}  // namespace

fs::path publish(const fs::path& checkpoints, const Name& name, const Summary& summary,
                 const std::function<void(const fs::path&)>& write) {
  fs::create_directories(checkpoints);
  const fs::path target = checkpoints / folder_name(name);
  TemporaryFolder temporary(checkpoints / temporary_name(name));
  write(temporary.path());
  const std::string manifest = to_json({summary, record_files(temporary.path())});
  write_file_synced(temporary.path() / kManifestFile, manifest);
  fsync_folder(temporary.path());
  if (rename_over_damaged(temporary.path(), target)) {
    temporary.release();
  } else if (const int reason = errno; !already_published(target, manifest)) {
    throw Error(ErrorCode::kUnavailable, "cannot publish " + target.string() + ": " + std::strerror(reason));
  }
  fsync_folder(checkpoints);
  replace_file(checkpoints / "latest", folder_name(name) + "\n");
  return target;
}

Manifest verify(const fs::path& folder) {
  const fs::path file = folder / kManifestFile;
  std::error_code error;
  if (!fs::exists(file, error)) throw Error(ErrorCode::kDataLoss, file.string() + " is missing");
  Manifest manifest = manifest_from_json(read_file(file), file.string());
  if (const auto name = parse_folder_name(folder.filename().string());
      name && name->step != manifest.summary.step)
    throw Error(ErrorCode::kDataLoss, file.string() + " is of step " + std::to_string(manifest.summary.step) +
                                          ", its folder's name is of step " + std::to_string(name->step));
  for (const FileRecord& record : manifest.files) check_file(folder, record);
  return manifest;
}

std::vector<fs::path> list(const fs::path& checkpoints) {
  std::vector<std::pair<Name, fs::path>> found;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(checkpoints, absent))
    if (const auto name = parse_folder_name(entry.path().filename().string()))
      found.emplace_back(*name, entry.path());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<fs::path> folders;
  folders.reserve(found.size());
  for (auto& [name, path] : found) folders.push_back(std::move(path));
  return folders;
}

std::optional<Found> newest_good(const fs::path& checkpoints, std::vector<std::string>& notes) {
  for (const fs::path& folder : list(checkpoints)) {
    try {
      return Found{folder, verify(folder)};
    } catch (const std::exception& error) {
      notes.push_back("skipped " + folder.filename().string() + ": " + error.what());
    }
  }
  return std::nullopt;
}

}  // namespace mdgen::checkpoint
