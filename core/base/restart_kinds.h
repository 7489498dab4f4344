// What recovery.restart_on may name: the kinds of failures that a restart can mend.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace mdgen {

inline constexpr std::array<std::string_view, 8> kRestartKinds = {
    "killed",         // a trainer's process was ended by a signal
    "exited",         // or ended with a status of its own
    "out_of_memory",  // or by the kernel's out-of-memory killer
    "worker_lost",    // an agent or its host is gone
    "hang",           // no progress
    "collective",     // the collective failed and nothing explains it
    "output",         // a checkpoint or the metrics could not be written
    "diverged",       // ranks hold different weights
};

// Words between commas, blanks around them left out.
inline std::vector<std::string> words_of(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view word = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

inline bool is_restart_kind(std::string_view word) {
  return std::find(kRestartKinds.begin(), kRestartKinds.end(), word) != kRestartKinds.end();
}

}  // namespace mdgen
