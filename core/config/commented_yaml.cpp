#include "core/base/text.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

// Fields that do nothing yet, or never will, are no start.
bool is_offered(const Field& field) {
  return field.rules.support() != v1::NOT_YET && field.rules.support() != v1::NEVER_READ;
}

std::string choices_text(const Field& field) {
  const auto& choices = field.rules.choices();
  return choices.empty() ? ""
                         : " (" + join(std::vector<std::string>(choices.begin(), choices.end()), " | ") + ")";
}

std::string field_lines(const Field& field) {
  const std::string indent = field.group.empty() ? "" : "  ";
  const std::string help = indent + "# " + field.rules.help() + choices_text(field) + "\n";
  if (field.rules.required()) return help + indent + field.name + ": \"\"  # required\n";
  const std::string text = field.rules.default_();
  return help + indent + "# " + field.name + ":" + (text.empty() ? "" : " " + text) + "\n";
}

}  // namespace

std::string commented_yaml() {
  std::string text =
      "# A job spec: fill in what is required, uncomment what shall differ from its default.\n";
  for (const std::string& group : Schema::get().groups()) {
    if (!group.empty()) text += "\n" + group + ":\n";
    for (const Field& field : Schema::get().fields()) {
      if (field.group == group && is_offered(field)) text += field_lines(field);
    }
  }
  return text;
}

}  // namespace mdgen::config
