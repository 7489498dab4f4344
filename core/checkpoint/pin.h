// A reader's word that a checkpoint is in use. No locks: a file of its own name beside the folder,
//
//   <run folder>/checkpoints/.pin-step-000001234-g0007-<owner>-<random>
//
// A reader writes it and looks at the folder after that. Whoever deletes takes the folder's name away first
// (.trash-…), looks for pins after that, and gives the name back when there is one. One of the two sees the
// other: both have changed the folder that they then read, so a network file system asks its server.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "core/checkpoint/owner.h"

namespace mdgen::checkpoint {

// Pins a checkpoint until it is destroyed. Where nothing can be written (a read-only or full file system)
// there is no pin, held() is false and reading goes on without. Movable.
class Pin {
 public:
  Pin() = default;
  explicit Pin(const std::filesystem::path& folder);
  ~Pin();
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&& other) noexcept;

  bool held() const { return !file_.empty(); }

 private:
  std::filesystem::path file_;
};

// "step-000001234-g0007" of ".pin-step-000001234-g0007-…"; empty for any other name.
struct PinName {
  std::string checkpoint;
  std::string file;
  std::optional<Owner> owner;
};
std::optional<PinName> parse_pin(const std::string& file);

// The names of the folders that are pinned by processes not known to be dead.
std::set<std::string> pinned(const std::vector<std::string>& names);

}  // namespace mdgen::checkpoint
