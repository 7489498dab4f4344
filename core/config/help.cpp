#include <algorithm>

#include "core/base/text.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

constexpr std::size_t kHelpColumn = 34;

std::string type_name(const Field& field) {
  using google::protobuf::FieldDescriptor;
  switch (field.leaf().cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "NUMBER";
    case FieldDescriptor::CPPTYPE_STRING:
      return field.rules.path() ? "PATH" : "TEXT";
    default:
      return "INTEGER";
  }
}

std::string default_text(const Field& field) {
  if (field.rules.required()) return "required";
  return field.rules.default_();
}

std::string support_text(const Field& field) {
  if (field.rules.support() == v1::NOT_YET) return "not yet implemented";
  if (field.rules.support() == v1::NEVER_READ) return "accepted; the reference never reads it";
  return "";
}

std::string flag_line(const Field& field) {
  std::string head = "  --" + field.flag;
  for (const std::string& alias : field.rules.aliases()) head += ", --" + alias;
  if (!type_name(field).empty()) head += " " + type_name(field);
  head += head.size() < kHelpColumn ? std::string(kHelpColumn - head.size(), ' ') : "  ";
  std::string tail = field.rules.help();
  const auto& choices = field.rules.choices();
  if (!choices.empty())
    tail += " (" + join(std::vector<std::string>(choices.begin(), choices.end()), "|") + ")";
  if (!default_text(field).empty()) tail += " [" + default_text(field) + "]";
  if (!support_text(field).empty()) tail += " {" + support_text(field) + "}";
  return head + tail + "\n";
}

std::string cell(std::string text) {
  std::string escaped;
  for (char c : text) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
  return escaped;
}

std::string code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

std::string names_cell(const Field& field) {
  std::string text = code(field.name);
  for (const std::string& alias : field.rules.aliases()) text += ", " + code(alias);
  return text;
}

std::string table_row(const Field& field) {
  std::string standard = field.rules.required() ? "required" : code(field.rules.default_());
  const std::string origin = field.rules.reference() ? "reference" : "ours";
  const std::vector<std::string> cells = {names_cell(field),        allowed_text(field), standard, origin,
                                          cell(field.rules.help()), support_text(field)};
  return "| " + join(cells, " | ") + " |\n";
}

constexpr const char* kIntroduction =
    "# Job spec\n"
    "\n"
    "Generated from `proto/mdgen/v1/job_spec.proto` by `mdgenctl spec --markdown`; do not edit.\n"
    "\n"
    "A spec is YAML (or JSON) with the groups below. Each field is also a flag of its own name, after `--` "
    "of\n"
    "`mdgenctl submit` and after `train` of `mdgen-launch`: `--num_frames 250`, `--path-type GVP` (`-` and "
    "`_` are\n"
    "the same), `--atlas` or `--atlas=false`; the fields of `workers` carry their group: `--workers.max 4`.\n"
    "`--set group.field=value` sets a field as well. Flags win over the file.\n"
    "Relative paths are made absolute against the client's directory. `reference` marks the flags of the "
    "original's\n"
    "training command, `ours` those that it lacks. A field that is not implemented yet is accepted with its "
    "default\n"
    "value only.\n";

}  // namespace

std::string flags_help() {
  std::string text;
  for (const std::string& group : Schema::get().groups()) {
    text += (group.empty() ? "job" : group) + ":\n";
    for (const Field& field : Schema::get().fields()) {
      if (field.group == group) text += flag_line(field);
    }
  }
  return text;
}

std::string markdown_table() {
  std::string text = kIntroduction;
  for (const std::string& group : Schema::get().groups()) {
    text += "\n## " + (group.empty() ? "At the top" : code(group)) + "\n\n";
    text += "| field | value | default | origin | meaning | state |\n|---|---|---|---|---|---|\n";
    for (const Field& field : Schema::get().fields()) {
      if (field.group == group) text += table_row(field);
    }
  }
  return text;
}

}  // namespace mdgen::config
