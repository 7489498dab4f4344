#include "core/checkpoint/store.h"

#include <algorithm>
#include <set>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/manifest.h"
#include "core/checkpoint/pin.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr int kTries = 5;

[[noreturn]] void damaged(const std::string& text) { throw Error(ErrorCode::kDataLoss, text); }

Manifest read_manifest(const fs::path& folder) {
  const fs::path file = folder / kManifestFile;
  std::string text;
  try {
    text = read_file(file);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) damaged(file.string() + " is missing");
    throw;
  }
  Manifest manifest = manifest_from_json(text, file.string());
  const auto name = parse_folder_name(folder.filename().string());
  if (name && name->step != manifest.summary.step)
    damaged(file.string() + " is of step " + std::to_string(manifest.summary.step) +
            ", its folder's name is of step " + std::to_string(name->step));
  return manifest;
}

void check_size(const fs::path& folder, const FileRecord& record) {
  const fs::path file = folder / record.name;
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  if (error == std::errc::no_such_file_or_directory)
    damaged(file.string() + " is missing: " + error.message());
  if (error) throw Error(ErrorCode::kUnavailable, "cannot examine " + file.string() + ": " + error.message());
  if (static_cast<std::int64_t>(bytes) != record.bytes)
    damaged(file.string() + " has " + std::to_string(bytes) + " bytes, its manifest says " +
            std::to_string(record.bytes));
}

// NFS keeps a removed file that somebody has open as ".nfs…".
void check_extra(const fs::path& folder, const Manifest& manifest) {
  std::set<std::string> known = {kManifestFile};
  for (const FileRecord& record : manifest.files) known.insert(record.name);
  for (const std::string& name : names_in_folder(folder))
    if (!known.contains(name) && !name.starts_with(".nfs"))
      damaged((folder / name).string() + " is not in its manifest");
}

void check_digest(const fs::path& folder, const FileRecord& record) {
  const fs::path file = folder / record.name;
  if (const std::string digest = sha256_file(file); digest != record.sha256)
    damaged(file.string() + " has SHA-256 " + digest + ", its manifest says " + record.sha256);
}

bool is_listed(const fs::path& folder) {
  const std::vector<fs::path> now = list(folder.parent_path());
  return std::find(now.begin(), now.end(), folder) != now.end();
}

enum class Outcome { kGood, kBad, kGone };

Outcome examine(const fs::path& folder, std::optional<Found>& found, std::vector<std::string>& notes,
                Pin* pin) {
  std::string problem;
  for (int i = 0; i < kTries; ++i) {
    try {
      Pin held = pin == nullptr ? Pin() : Pin(folder);
      found = Found{folder, verify(folder)};
      if (pin != nullptr) *pin = std::move(held);
      return Outcome::kGood;
    } catch (const Error& error) {
      if (!is_listed(folder)) return Outcome::kGone;
      problem = error.what();
      if (error.code() == ErrorCode::kDataLoss) break;
    }
  }
  notes.push_back("skipped " + folder.filename().string() + ": " + problem);
  return Outcome::kBad;
}

}  // namespace

Manifest check_sizes(const fs::path& folder) {
  Manifest manifest = read_manifest(folder);
  for (const FileRecord& record : manifest.files) check_size(folder, record);
  check_extra(folder, manifest);
  return manifest;
}

Manifest verify(const fs::path& folder) {
  Manifest manifest = check_sizes(folder);
  for (const FileRecord& record : manifest.files) check_digest(folder, record);
  return manifest;
}

std::vector<fs::path> list(const fs::path& checkpoints) {
  std::vector<Name> found;
  for (const std::string& folder : names_in_folder(checkpoints))
    if (const auto name = parse_folder_name(folder)) found.push_back(*name);
  std::sort(found.begin(), found.end(), std::greater<>());
  std::vector<fs::path> folders;
  for (const Name& name : found) folders.push_back(checkpoints / folder_name(name));
  return folders;
}

std::optional<Found> newest_good(const fs::path& checkpoints, std::vector<std::string>& notes, Pin* pin) {
  for (int i = 0; i < kTries; ++i) {
    std::vector<std::string> passed_over;
    std::optional<Found> found;
    bool again = false;
    for (const fs::path& folder : list(checkpoints)) {
      const Outcome outcome = examine(folder, found, passed_over, pin);
      again = outcome == Outcome::kGone;
      if (again || found) break;
    }
    if (again && i + 1 < kTries) continue;
    notes.insert(notes.end(), passed_over.begin(), passed_over.end());
    return found;
  }
  return std::nullopt;
}

}  // namespace mdgen::checkpoint
