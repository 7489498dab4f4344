// Folders that are not checkpoints yet, or no longer.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/checkpoint/owner.h"
#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

inline constexpr std::string_view kTrash = ".trash-";

// ".tmp-g0007-step-000001234-g0007-<owner>-<random>"
struct TemporaryName {
  std::int64_t generation = 0;
  std::optional<Owner> owner;  // nothing: an older version made it
};
std::optional<TemporaryName> parse_temporary(const std::string& folder);

// The highest generation that wrote a checkpoint here, or began to; 0: none.
std::int64_t last_generation(const std::filesystem::path& checkpoints);

// A new one.
std::string temporary_name(const Name& name);

// A new folder that is written to: removed at the end unless it was published. Known to this process as long
// as it lives.
class TemporaryFolder {
 public:
  TemporaryFolder(const std::filesystem::path& checkpoints, const Name& name);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void published() { published_ = true; }

 private:
  std::filesystem::path path_;
  bool published_ = false;
};

// Whether this process writes to it now.
bool is_written_here(const std::string& folder);

}  // namespace mdgen::checkpoint
