// Completion of mdgenctl's command line in shells: thin scripts ask this program at each TAB.
#pragma once

#include <string>
#include <vector>

#include "services/client/command_line/command_tree.h"

namespace mdgen::client {

// How the scripts call it: `mdgenctl __complete WORD…`, the last word being the one under the cursor. Answers
// a candidate a line, "value<TAB>description", then ":", ":files" or ":folders": what else the shell offers.
inline constexpr const char* kCompleteVerb = "__complete";

struct Candidate {
  std::string value;
  std::string description;
};

struct Completion {
  std::vector<Candidate> candidates;
  bool wants_jobs = false;
  bool wants_workers = false;
  bool wants_files = false;
  bool wants_folders = false;
};

// What may stand in place of the last of `words`, from the tree alone. Pure.
Completion complete(const CommandTree& tree, const std::vector<std::string>& words);

// Completes, asking the coordinator for the names of jobs and workers if they are wanted and it answers soon.
ExitCode answer_shell(const std::vector<std::string>& words, const Surroundings& world);

}  // namespace mdgen::client
