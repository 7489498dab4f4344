// Jobs that a job waits for (`after`): pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mdgen/v1/job.pb.h"

namespace mdgen::coordinator {

// Of one that has not succeeded yet.
struct Dependency {
  std::string id;
  std::string name;
  std::optional<v1::JobState> state;  // nothing: there is no such job any more
};

// Why it can never start, a sentence; nothing while it can.
std::optional<std::string> why_it_cannot_start(const std::vector<Dependency>& dependencies);
// "waits for prep (ab12cd), which is RUNNING, and pilot (…)"
std::string dependencies_text(const std::vector<Dependency>& dependencies);

// "prep, pilot" -> its words.
std::vector<std::string> names_in_after(const std::string& after);

// As the store keeps them: their ids.
std::string dependencies_to_text(const std::vector<Dependency>& dependencies);
std::vector<Dependency> dependencies_from_text(const std::string& text);

}  // namespace mdgen::coordinator
