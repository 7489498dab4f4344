#include "core/checkpoint/publisher.h"

#include <limits>
#include <utility>

#include "core/base/files.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;

Publisher::Publisher(fs::path checkpoints, Policy policy, const Clock& clock)
    : checkpoints_(std::move(checkpoints)), retention_(checkpoints_, policy, clock) {}

std::int64_t Publisher::free() const noexcept {
  try {
    return free_bytes(checkpoints_);
  } catch (const Error&) {
    return -1;
  }
}

fs::path Publisher::publish_once(const Name& name, const Summary& summary, const Write& write) {
  const fs::path folder = publish_recorded(checkpoints_, name, summary, write);
  for (const std::string& file : names_in_folder(folder)) drop_from_cache(folder / file);
  verify(folder);
  return folder;
}

fs::path Publisher::publish(const Name& name, const Summary& summary, std::int64_t bytes, bool deletes,
                            const Write& write) {
  make_folders(checkpoints_);
  const std::int64_t free = deletes ? retention_.make_room(name.generation, bytes) : free_bytes(checkpoints_);
  if (free < bytes) throw NoSpace("there is not enough room");
  fs::path folder;
  try {
    folder = publish_once(name, summary, write);
  } catch (const NoSpace&) {
    if (!deletes) throw;
    retention_.make_room(name.generation, std::numeric_limits<std::int64_t>::max());
    folder = publish_once(name, summary, write);
  }
  retention_.verified(folder);
  if (deletes) retention_.run(name.generation);
  return folder;
}

}  // namespace mdgen::checkpoint
