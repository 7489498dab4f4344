#include "core/checkpoint/retention.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/identity.h"
#include "core/base/log.h"
#include "core/checkpoint/pin.h"
#include "core/checkpoint/temporary.h"

namespace mdgen::checkpoint {
namespace fs = std::filesystem;
namespace {

// Size and time of a file, or of all files in a folder.
std::string fingerprint_of(const fs::path& path) {
  std::error_code error;
  std::string text = std::to_string(fs::last_write_time(path, error).time_since_epoch().count());
  if (!fs::is_directory(path, error)) return text + ":" + std::to_string(fs::file_size(path, error));
  std::vector<std::string> names = names_in_folder(path);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) text += "/" + name + ":" + fingerprint_of(path / name);
  return text;
}

void unlink_all(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) spdlog::warn("cannot remove {}: {}", path.string(), error.message());
}

std::int64_t free_or_none(const fs::path& folder) {
  try {
    return free_bytes(folder);
  } catch (const Error&) {
    return 0;
  }
}

}  // namespace

bool remove_checkpoint(const fs::path& folder) {
  const std::string name = folder.filename().string();
  const fs::path checkpoints = folder.parent_path();
  const fs::path trash = checkpoints / (std::string(kTrash) + name + "-" + make_short_id());
  std::error_code error;
  fs::rename(folder, trash, error);
  if (error && error != std::errc::no_such_file_or_directory) {
    spdlog::warn("cannot remove {}: {}", folder.string(), error.message());
    return false;
  }
  try {
    if (pinned(names_in_folder(checkpoints)).contains(name)) {
      fs::rename(trash, folder, error);
      if (!error) return false;
      spdlog::warn("{} is being read, but cannot get its name back: {}", trash.string(), error.message());
    }
  } catch (const Error& failure) {
    spdlog::warn("cannot look for readers of {}: {}", folder.string(), failure.what());
  }
  unlink_all(trash);
  return true;
}

Retention::Retention(fs::path checkpoints, Policy policy, const Clock& clock)
    : checkpoints_(std::move(checkpoints)), policy_(policy), clock_(clock) {}

void Retention::verified(const fs::path& folder) {
  const auto name = parse_folder_name(folder.filename().string());
  if (name && (!verified_ || *name > *verified_)) verified_ = name;
}

bool Retention::left_behind(const std::string& name) {
  std::string fingerprint;
  try {
    fingerprint = fingerprint_of(checkpoints_ / name);
  } catch (const Error&) {
    return false;
  }
  const auto [seen, first] = seen_.try_emplace(name, Seen{fingerprint, clock_.steady()});
  if (!first && seen->second.fingerprint != fingerprint) seen->second = {fingerprint, clock_.steady()};
  return clock_.steady() - seen->second.since >= kQuiet;
}

void Retention::sweep(const std::vector<std::string>& names) {
  const std::set<std::string> now(names.begin(), names.end());
  std::erase_if(seen_, [&](const auto& entry) { return !now.contains(entry.first); });
  const std::set<std::string> held = pinned(names);
  const auto gone = [&](const std::string& name, const std::optional<Owner>& owner) {
    const Life life = owner ? life_of(*owner) : Life::kUnknown;
    return life == Life::kDead || (life == Life::kUnknown && left_behind(name));
  };
  for (const std::string& name : names) {
    bool remove = false;
    if (name.starts_with(kTrash)) {
      remove = std::none_of(held.begin(), held.end(), [&](const std::string& checkpoint) {
        return name.starts_with(std::string(kTrash) + checkpoint + "-");
      });
    } else if (const auto temporary = parse_temporary(name)) {
      const bool ours = temporary->owner && *temporary->owner == this_process();
      remove = ours ? !is_written_here(name) : gone(name, temporary->owner);
    } else if (const auto pin = parse_pin(name)) {
      remove = gone(name, pin->owner);
    }
    if (remove) unlink_all(checkpoints_ / name);
  }
}

std::vector<Candidate> Retention::candidates(const std::vector<std::string>& names) {
  const std::set<std::string> held = pinned(names);
  std::vector<Candidate> found;
  for (const std::string& folder : names) {
    const auto name = parse_folder_name(folder);
    if (!name) continue;
    Candidate& candidate = found.emplace_back(Candidate{.name = *name});
    candidate.pinned = held.contains(folder);
    candidate.verified = name == verified_;
    try {
      candidate.val_loss = check_sizes(checkpoints_ / folder).summary.val_loss;
    } catch (const Error& error) {
      candidate.damaged = error.code() == ErrorCode::kDataLoss;
    }
  }
  return found;
}

bool Retention::superseded(const std::vector<std::string>& names, std::int64_t generation) const {
  return std::any_of(names.begin(), names.end(), [&](const std::string& folder) {
    const auto name = parse_folder_name(folder);
    const auto temporary = parse_temporary(folder);
    return (name && name->generation > generation) || (temporary && temporary->generation > generation);
  });
}

void Retention::remove(const std::vector<Name>& names, std::int64_t until_free) {
  for (const Name& name : names) {
    if (free_or_none(checkpoints_) >= until_free) return;
    remove_checkpoint(checkpoints_ / folder_name(name));
  }
}

void Retention::sweep() {
  try {
    sweep(names_in_folder(checkpoints_));
  } catch (const Error& error) {
    spdlog::warn("what dead writers left behind is not removed: {}", error.what());
  }
}

void Retention::run(std::int64_t generation) {
  sweep();
  try {
    const std::vector<std::string> names = names_in_folder(checkpoints_);
    if (superseded(names, generation)) {
      spdlog::info("generation {} deletes no checkpoint: a later one is at work", generation);
      return;
    }
    remove(superfluous(candidates(names), policy_), std::numeric_limits<std::int64_t>::max());
  } catch (const Error& error) {
    spdlog::warn("old checkpoints are not removed: {}", error.what());
  }
}

std::int64_t Retention::make_room(std::int64_t generation, std::int64_t bytes) {
  if (const std::int64_t free = free_bytes(checkpoints_); free >= bytes) return free;
  if (!verified_) {
    std::vector<std::string> notes;
    if (const auto found = newest_good(checkpoints_, notes)) verified(found->folder);
  }
  run(generation);
  try {
    const std::vector<std::string> names = names_in_folder(checkpoints_);
    if (!superseded(names, generation)) remove(dispensable(candidates(names), policy_), bytes);
  } catch (const Error& error) {
    spdlog::warn("no room is made for a checkpoint: {}", error.what());
  }
  return free_bytes(checkpoints_);
}

}  // namespace mdgen::checkpoint
