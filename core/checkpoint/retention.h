// Which checkpoints stay, and what becomes of the others. No LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {

struct Policy {
  int keep_last = 3;            // the newest so many; 0: all
  std::int64_t keep_every = 0;  // and each whose step is a multiple; 0: none for that
  int keep_best = 0;            // and so many of the lowest validation loss; 0: none for that
};

struct Candidate {
  Name name;
  bool damaged = false;              // as far as names and sizes tell
  std::optional<double> val_loss{};  // of just these weights
  bool pinned = false;               // somebody reads it
  bool verified = false;             // every byte was read back
};

// What the policy does not keep: a pure function. Damaged ones count for nothing and go when a newer one is
// verified. Never named: the newest that is verified, anything newer than it, and what is pinned. Without a
// verified one, or with keep_last = 0, nothing is named. Among equal losses the newer counts as better.
std::vector<Name> superfluous(const std::vector<Candidate>& candidates, const Policy& policy);

// What may go when the disk is full, in this order: those that keep_last alone holds, the oldest first. The
// same are never named.
std::vector<Name> dispensable(const std::vector<Candidate>& candidates, const Policy& policy);

// The deleting side of a folder of checkpoints. It remembers from call to call what it has seen. Failures are
// logged, not thrown: what stays is removed the next time. For one thread.
class Retention {
 public:
  // A temporary folder or pin of a machine that we cannot ask counts as left behind when nothing in it has
  // changed for so long, by this process's own clock.
  static constexpr std::chrono::minutes kQuiet{10};

  Retention(std::filesystem::path checkpoints, Policy policy, const Clock& clock);

  // `folder` was read back: it is what never goes.
  void verified(const std::filesystem::path& folder);
  // Removes the temporary folders and pins of dead writers and readers, and what is being removed.
  void sweep();
  // Sweeps and applies the policy. A generation that sees a later one's folders deletes no checkpoint.
  void run(std::int64_t generation);
  // Removes what is left behind, then what is superfluous, then what is dispensable, until `bytes` are free.
  // Returns what is free.
  std::int64_t make_room(std::int64_t generation, std::int64_t bytes);

 private:
  struct Seen {
    std::string fingerprint;
    Clock::Steady since;
  };

  void sweep(const std::vector<std::string>& names);
  bool left_behind(const std::string& name);
  std::vector<Candidate> candidates(const std::vector<std::string>& names);
  bool superseded(const std::vector<std::string>& names, std::int64_t generation) const;
  void remove(const std::vector<Name>& names, std::int64_t until_free);

  std::filesystem::path checkpoints_;
  Policy policy_;
  const Clock& clock_;
  std::optional<Name> verified_;
  std::map<std::string, Seen> seen_;
};

// Renames the folder to ".trash-…", so that nobody takes it for a checkpoint while it goes, then unlinks it.
// False, and the folder has its name again, when a reader has pinned it. Warns when it cannot.
bool remove_checkpoint(const std::filesystem::path& folder);

}  // namespace mdgen::checkpoint
