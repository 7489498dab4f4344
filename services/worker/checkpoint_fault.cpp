#include "services/worker/checkpoint_fault.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <fstream>
#include <vector>

#include "core/base/log.h"
#include "core/checkpoint/store.h"

namespace mdgen::worker {
namespace {

namespace fs = std::filesystem;

fs::path largest_file(const fs::path& folder) {
  fs::path result;
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.file_size() <= bytes) continue;
    bytes = entry.file_size();
    result = entry.path();
  }
  return result;
}

std::uintmax_t flip_middle_byte(const fs::path& file) {
  const std::uintmax_t at = fs::file_size(file) / 2;
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.exceptions(std::ios::failbit | std::ios::badbit);
  stream.seekg(static_cast<std::streamoff>(at));
  const int byte = stream.get();
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(static_cast<char>(byte ^ 0x40));
  stream.close();
  return at;
}

}  // namespace

std::optional<fs::path> corrupt_newest_checkpoint(const fs::path& run_folder) {
  try {
    const std::vector<fs::path> folders = checkpoint::list(run_folder / "checkpoints");
    const fs::path file = folders.empty() ? fs::path() : largest_file(folders.front());
    if (file.empty()) {
      spdlog::warn("no checkpoint to damage in {}", run_folder.string());
      return std::nullopt;
    }
    spdlog::error("damaged {}: byte {} is flipped", file.string(), flip_middle_byte(file));
    return file;
  } catch (const std::exception& error) {
    spdlog::warn("no checkpoint damaged in {}: {}", run_folder.string(), error.what());
    return std::nullopt;
  }
}

}  // namespace mdgen::worker
