// Everything that is done to the disk for one checkpoint. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "core/checkpoint/retention.h"

namespace mdgen::checkpoint {

// For one thread.
class Publisher {
 public:
  using Write = std::function<std::vector<FileRecord>(const std::filesystem::path& folder)>;

  Publisher(std::filesystem::path checkpoints, Policy policy, const Clock& clock);

  // Makes room for `bytes` as the policy allows, publishes, reads back and compares every digest, and applies
  // the policy. Throws Error: then what was there before is there still, and what was written is not, unless
  // it was published before the failure. NoSpace when the disk or a quota is full; a quota shows only when it
  // is met: then room is made and it is tried once more. With `deletes` off nothing is removed.
  std::filesystem::path publish(const Name& name, const Summary& summary, std::int64_t bytes, bool deletes,
                                const Write& write);

  // Removes what dead writers have left behind.
  void sweep() { retention_.sweep(); }

  // -1: unknown.
  std::int64_t free() const noexcept;

 private:
  std::filesystem::path publish_once(const Name& name, const Summary& summary, const Write& write);

  std::filesystem::path checkpoints_;
  Retention retention_;
};

}  // namespace mdgen::checkpoint
