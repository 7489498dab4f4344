// Checkpoints as their manifests and their files' sizes tell them; no file but the manifests is read.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

struct Listed {
  std::filesystem::path folder;
  Name name;
  std::optional<Manifest> manifest{};  // nothing: it is bad
  std::string problem{};               // why it is
  std::optional<std::chrono::system_clock::time_point> written_at{};
  bool pinned = false;  // somebody reads it
};

Listed look_at(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
