// For each field of the job spec: what it must change and, by that, what it must leave alone.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mdgen::flags {

using Names = std::set<std::string>;

// A training run without and one with `with`, both on the data set and assignments of `base`, differ in
// exactly the observables `changes` (observation.h). `effect` says it in words.
struct Effect {
  std::string field;  // "data.crop"
  std::string with;   // "12"
  Names changes;
  std::string effect;
  std::vector<std::string> base = {};  // assignments on top of the common ones, such as "design=true"
  Names may_change = {};               // by rounding, or by what an almost untrained model chooses
};

// What cannot be seen in one small run on one machine has tests of its own: "Suite.Test" of GoogleTest or the
// name of a pytest function.
struct Elsewhere {
  std::string field;
  std::string value;  // a choice, or "" for the field as a whole
  std::string effect;
  std::vector<std::string> tests;
};

// By the schema's groups: "" is the top. Each is a table_*.cpp.
std::vector<Effect> effects(std::string_view group);
std::vector<Elsewhere> elsewhere();

// The union.
Names operator|(Names a, const Names& b);

// docs/flags.md.
std::string markdown();

}  // namespace mdgen::flags
