#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

bool is_bool(const Field& field) {
  return field.leaf().cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_BOOL;
}

[[noreturn]] void refuse_unknown(const std::string& name, const std::string& value) {
  const std::string nearest = nearest_name(normal_name(name), Schema::get().flag_names());
  refuse("unknown flag \"--" + name + "\"" + (value.empty() ? "" : " (value: \"" + value + "\")") +
         (nearest.empty() ? "; --help lists all" : "; did you mean \"--" + nearest + "\"?"));
}

[[noreturn]] void refuse_stray(const std::string& argument, const std::string& last_flag) {
  std::string hint;
  if (!last_flag.empty())
    hint = " after --" + last_flag + " (true or false: --" + last_flag + "=" + argument + ")";
  if (argument.size() > 1 && argument.front() == '-' &&
      Schema::get().by_flag(argument.substr(1)) != nullptr) {
    hint = "; did you mean \"-" + argument + "\"?";
  }
  refuse("\"" + argument + "\" is not a flag" + hint);
}

}  // namespace

void apply_flags(JobSpec& spec, std::span<const std::string> arguments) {
  std::string last_bool;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--") || argument.size() == 2) refuse_stray(argument, last_bool);
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Field* known = Schema::get().by_flag(name);
    const bool has_next = i + 1 < arguments.size() && !arguments[i + 1].starts_with("--");
    if (known == nullptr) {
      const std::string next = has_next ? arguments[i + 1] : "";
      refuse_unknown(name, equals == std::string::npos ? next : argument.substr(equals + 1));
    }
    const Field& field = *known;
    const std::string where = "--" + name;
    last_bool = is_bool(field) ? name : "";
    if (equals != std::string::npos) {
      set_text(spec, field, std::string_view(argument).substr(equals + 1), where);
    } else if (is_bool(field)) {
      set_value(spec, field, true);
    } else if (has_next) {
      set_text(spec, field, arguments[++i], where);
    } else {
      refuse(where + ": a value is missing; allowed: " + allowed_text(field));
    }
  }
}

void apply_assignment(JobSpec& spec, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos) refuse("\"" + assignment + "\" is not of the form key=value");
  const std::string key = assignment.substr(0, equals);
  const Schema& schema = Schema::get();
  const Field* field = schema.by_key(key);
  if (field == nullptr) field = schema.by_flag(key);
  if (field == nullptr) {
    std::vector<std::string> known = schema.flag_names();
    for (const Field& each : schema.fields()) known.push_back(each.key);
    std::string hint = did_you_mean(normal_name(key), known);
    const std::string leaf = key.substr(key.rfind('.') + 1);
    if (const Field* elsewhere = schema.by_flag(leaf)) hint = "; did you mean \"" + elsewhere->key + "\"?";
    refuse("unknown key \"" + key + "\" (value: \"" + assignment.substr(equals + 1) + "\")" + hint);
  }
  set_text(spec, *field, std::string_view(assignment).substr(equals + 1), assignment);
}

}  // namespace mdgen::config
