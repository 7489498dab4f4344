#include "core/checkpoint/retention.h"

#include <charconv>
#include <cstdio>

#include "core/base/identity.h"
#include "core/base/log.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kTemporary = ".tmp-g";
constexpr std::string_view kTrash = ".trash-";

void sweep(const fs::path& checkpoints, std::int64_t generation) {
  std::vector<fs::path> stale;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(checkpoints, error)) {
    const std::string name = entry.path().filename().string();
    const auto owner = generation_of_temporary(name);
    if (name.starts_with(kTrash) || (owner && *owner < generation)) stale.push_back(entry.path());
  }
  for (const fs::path& folder : stale) {
    fs::remove_all(folder, error);
    if (error) spdlog::warn("cannot remove {}: {}", folder.string(), error.message());
  }
}

}  // namespace

std::string temporary_name(const Name& name) {
  char generation[32];
  std::snprintf(generation, sizeof generation, "%04lld", static_cast<long long>(name.generation));
  return std::string(kTemporary) + generation + "-" + folder_name(name) + "-" + make_short_id();
}

std::optional<std::int64_t> generation_of_temporary(const std::string& folder) {
  if (!folder.starts_with(kTemporary)) return std::nullopt;
  std::int64_t generation = 0;
  const char* begin = folder.data() + kTemporary.size();
  const auto [end, error] = std::from_chars(begin, folder.data() + folder.size(), generation);
  if (error != std::errc() || end == begin) return std::nullopt;
  return generation;
}

void remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::path trash =
      folder.parent_path() / (std::string(kTrash) + folder.filename().string() + "-" + make_short_id());
  fs::rename(folder, trash, error);
  if (error) {
    spdlog::warn("cannot remove {}: {}", folder.string(), error.message());
    return;
  }
  fs::remove_all(trash, error);
  if (error) spdlog::warn("cannot remove {}: {}", trash.string(), error.message());
}

void retain(const fs::path& checkpoints, int keep_last, std::int64_t generation) {
  sweep(checkpoints, generation);
  if (keep_last <= 0) return;
  std::vector<std::string> notes;
  const auto newest = newest_good(checkpoints, notes);
  if (!newest) return;
  int kept = 0;
  for (const fs::path& folder : list(checkpoints)) {
    const bool keep = kept < keep_last || folder == newest->folder;
    if (keep)
      ++kept;
    else
      remove_folder(folder);
  }
}

}  // namespace mdgen::checkpoint
