#include "services/coordinator/dependencies.h"

#include "core/base/text.h"
#include "services/coordinator/job_state.h"

namespace mdgen::coordinator {
namespace {

std::string who(const Dependency& dependency) {
  return dependency.name.empty() ? "job " + dependency.id : dependency.name + " (" + dependency.id + ")";
}

}  // namespace

std::optional<std::string> why_it_cannot_start(const std::vector<Dependency>& dependencies) {
  for (const Dependency& dependency : dependencies) {
    if (!dependency.state) return who(dependency) + ", for which it waited, is not known here any more";
    if (is_final(*dependency.state) && *dependency.state != v1::JOB_STATE_SUCCEEDED)
      return who(dependency) + ", for which it waited, is " + state_name(*dependency.state);
  }
  return std::nullopt;
}

std::string dependencies_text(const std::vector<Dependency>& dependencies) {
  std::vector<std::string> parts;
  for (const Dependency& dependency : dependencies)
    parts.push_back(who(dependency) + ", which is " +
                    (dependency.state ? state_name(*dependency.state) : "gone"));
  return "waits for " + join(parts, ", and for ");
}

std::vector<std::string> names_in_after(const std::string& after) {
  std::vector<std::string> names;
  if (trim(after).empty()) return names;
  for (const std::string& part : split(after, ',')) names.emplace_back(trim(part));
  return names;
}

std::string dependencies_to_text(const std::vector<Dependency>& dependencies) {
  std::vector<std::string> ids;
  for (const Dependency& dependency : dependencies) ids.push_back(dependency.id);
  return join(ids, ",");
}

std::vector<Dependency> dependencies_from_text(const std::string& text) {
  std::vector<Dependency> dependencies;
  for (std::string& id : names_in_after(text)) dependencies.push_back({std::move(id), "", std::nullopt});
  return dependencies;
}

}  // namespace mdgen::coordinator
