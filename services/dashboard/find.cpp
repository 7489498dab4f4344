#include <algorithm>

#include "services/dashboard/files.h"

namespace mdgen::dashboard {
namespace {

constexpr std::string_view kFolder = "/dashboard/";

}  // namespace

const File* find(std::string_view path) {
  if (path == "/") path = "/dashboard/index.html";
  if (!path.starts_with(kFolder)) return nullptr;
  path.remove_prefix(kFolder.size());
  const std::span<const File> all = files();
  const auto found =
      std::find_if(all.begin(), all.end(), [path](const File& file) { return file.name == path; });
  return found == all.end() ? nullptr : &*found;
}

bool has_current(std::string_view if_none_match, std::string_view etag) {
  return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

}  // namespace mdgen::dashboard
