// Words that people put on workers and jobs, and what selects by them. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace mdgen {

// By key; a word without a value has the empty one.
using Labels = std::map<std::string, std::string, std::less<>>;

// "team=md,stage=pilot,cheap". Blanks around words count for nothing. Throws Error(kInvalidArgument) that
// begins with `what` (a flag or field) and names the word: keys have 1 to 63 of letters, digits and ._-/,
// values up to 63 of those and :@+; no key twice; at most 64.
Labels parse_labels(const std::string& what, std::string_view text);

// "stage=pilot,team=md,cheap" as parse_labels() takes it, by key.
std::string labels_text(const Labels& labels);

// Whether each of `wanted` is among `labels` (any map of strings), with the same value where it has one.
template <typename Map>
bool has_labels(const Map& labels, const Labels& wanted) {
  for (const auto& [key, value] : wanted) {
    const auto found = labels.find(key);
    if (found == labels.end() || (!value.empty() && found->second != value)) return false;
  }
  return true;
}

}  // namespace mdgen
