#include "core/checkpoint/listing.h"

#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/checkpoint/pin.h"

namespace mdgen::checkpoint {
namespace {

std::optional<std::chrono::system_clock::time_point> written_at(const std::filesystem::path& folder) {
  struct stat facts {};
  if (::stat(folder.c_str(), &facts) != 0) return std::nullopt;
  const auto time =
      std::chrono::seconds(facts.st_mtim.tv_sec) + std::chrono::nanoseconds(facts.st_mtim.tv_nsec);
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(time));
}

}  // namespace

Listed look_at(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  Listed row{.folder = folder, .name = parse_folder_name(name).value()};
  row.written_at = written_at(folder);
  row.pinned = pinned(names_in_folder(folder.parent_path())).contains(name);
  try {
    row.manifest = check_sizes(folder);
  } catch (const Error& error) {
    row.problem = error.what();
  }
  return row;
}

}  // namespace mdgen::checkpoint
