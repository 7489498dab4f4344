#include "core/checkpoint/temporary.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <mutex>
#include <set>

#include "core/base/files.h"
#include "core/base/identity.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kTemporary = ".tmp-g";

struct Registry {
  std::mutex mutex;
  std::set<std::string> names;
};
Registry& registry() {
  static Registry instance;
  return instance;
}

}  // namespace

std::string temporary_name(const Name& name) {
  char generation[32];
  std::snprintf(generation, sizeof generation, "%04lld", static_cast<long long>(name.generation));
  return std::string(kTemporary) + generation + "-" + folder_name(name) + "-" + to_text(this_process()) +
         "-" + make_short_id();
}

std::optional<TemporaryName> parse_temporary(const std::string& folder) {
  if (!folder.starts_with(kTemporary)) return std::nullopt;
  TemporaryName name;
  const char* begin = folder.data() + kTemporary.size();
  const auto [end, error] = std::from_chars(begin, folder.data() + folder.size(), name.generation);
  if (error != std::errc() || end == begin) return std::nullopt;
  const auto id = folder.rfind('-');
  const auto owner = folder.rfind('-', id - 1);
  name.owner = owner_from_text(std::string_view(folder).substr(owner + 1, id - owner - 1));
  return name;
}

std::int64_t last_generation(const fs::path& checkpoints) {
  std::int64_t last = 0;
  for (const std::string& folder : names_in_folder(checkpoints)) {
    if (const auto name = parse_folder_name(folder)) last = std::max(last, name->generation);
    if (const auto temporary = parse_temporary(folder)) last = std::max(last, temporary->generation);
  }
  return last;
}

TemporaryFolder::TemporaryFolder(const fs::path& checkpoints, const Name& name)
    : path_(checkpoints / temporary_name(name)) {
  Registry& known = registry();
  {
    const std::lock_guard lock(known.mutex);
    known.names.insert(path_.filename().string());
  }
  try {
    make_folder(path_);
  } catch (...) {
    const std::lock_guard lock(known.mutex);
    known.names.erase(path_.filename().string());
    throw;
  }
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!published_) fs::remove_all(path_, ignored);
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  known.names.erase(path_.filename().string());
}

bool is_written_here(const std::string& folder) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  return known.names.contains(folder);
}

}  // namespace mdgen::checkpoint
