#include <yaml-cpp/yaml.h>

#include <set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/schema.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(ErrorCode::kInvalidArgument, message); }

std::string kind_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a map";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Null:
      return "nothing";
    default:
      return "\"" + node.Scalar() + "\"";
  }
}

class Reader {
 public:
  Reader(const std::string& source, JobSpec& spec) : source_(source), spec_(spec) {}

  void read_group(const YAML::Node& node, const std::string& group) {
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string place = where(entry.first);
      if (!entry.first.IsScalar()) refuse(place + ": a key must be a name, not " + kind_of(entry.first));
      const std::string name = normal_name(entry.first.Scalar());
      const Field* field = schema_.by_key(group.empty() ? name : group + "." + name);
      const std::string key = field != nullptr ? field->key : name;
      if (!seen.insert(key).second) refuse(place + ": " + key + " is given twice");
      if (field != nullptr && field->group == group) {
        read_leaf(entry.second, *field, place);
      } else if (group.empty() && schema_.is_group(name)) {
        open_group(entry.second, name, place);
      } else {
        refuse_unknown(entry.first.Scalar(), entry.second, group, place);
      }
    }
  }

 private:
  std::string where(const YAML::Node& node) const {
    const YAML::Mark mark = node.Mark();
    if (mark.is_null()) return source_;
    return source_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
  }

  void open_group(const YAML::Node& node, const std::string& name, const std::string& place) {
    if (node.IsNull()) return;
    if (!node.IsMap()) {
      refuse(place + ": " + name + " is a group of keys (" + join(schema_.names_in(name), ", ") + "), not " +
             kind_of(node));
    }
    read_group(node, name);
  }

  void read_leaf(const YAML::Node& node, const Field& field, const std::string& place) {
    if (node.IsNull()) {
      refuse(place + ": " + field.key + " has no value; give " + allowed_text(field) +
             ", or leave the key out for the default");
    }
    if (!node.IsScalar()) {
      refuse(place + ": " + field.key + " cannot be " + kind_of(node) + "; allowed: " + allowed_text(field));
    }
    const bool is_quoted = node.Tag() == "!";
    const bool is_text = field.leaf().cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_STRING;
    if (is_quoted && !is_text) {
      refuse(where(node) + ": " + field.key + " cannot be the quoted text " + kind_of(node) +
             "; allowed: " + allowed_text(field));
    }
    set_text(spec_, field, node.Scalar(), where(node));
  }

  [[noreturn]] void refuse_unknown(const std::string& name, const YAML::Node& node, const std::string& group,
                                   const std::string& place) const {
    const std::string in = group.empty() ? "" : " in " + group;
    const std::vector<std::string> known = schema_.names_in(group);
    std::string hint = did_you_mean(normal_name(name), known);
    if (const Field* elsewhere = schema_.by_flag(name)) hint = "; did you mean \"" + elsewhere->key + "\"?";
    refuse(place + ": unknown key \"" + name + "\"" + in + " (value: " + kind_of(node) + ")" + hint +
           "; known here: " + join(known, ", "));
  }

  const Schema& schema_ = Schema::get();
  const std::string& source_;
  JobSpec& spec_;
};

}  // namespace

JobSpec parse_yaml(std::string_view text, const std::string& source) {
  JobSpec spec;
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) refuse(source + ": more than one YAML document; a job spec is one");
    if (documents.empty() || documents.front().IsNull()) return spec;
    const YAML::Node& root = documents.front();
    if (!root.IsMap()) refuse(source + ": a job spec is a map of keys, not " + kind_of(root));
    Reader(source, spec).read_group(root, "");
  } catch (const YAML::Exception& error) {
    std::string place = source;
    if (!error.mark.is_null()) {
      place += ":" + std::to_string(error.mark.line + 1) + ":" + std::to_string(error.mark.column + 1);
    }
    refuse(place + ": not YAML: " + error.msg);
  }
  return spec;
}

}  // namespace mdgen::config
