#include "core/config/schema.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

bool is_supported_type(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_STRING:
      return !field.is_repeated();
    default:
      return false;
  }
}

Field make_field(const FieldDescriptor* group, const FieldDescriptor* leaf) {
  if (!is_supported_type(*leaf)) {
    throw Error(ErrorCode::kInternal,
                "the schema's field " + leaf->full_name() + " has a type that specs lack");
  }
  Field field;
  if (group != nullptr) {
    field.path.push_back(group);
    field.group = group->name();
  }
  field.path.push_back(leaf);
  field.name = leaf->name();
  field.key = field.group.empty() ? field.name : field.group + "." + field.name;
  field.rules = leaf->options().GetExtension(v1::rules);
  field.flag = field.rules.qualified() ? field.key : field.name;
  return field;
}

}  // namespace

std::string normal_name(std::string_view name) {
  std::string normal(name);
  std::replace(normal.begin(), normal.end(), '-', '_');
  return normal;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = nearest_name(name, candidates);
  return nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?";
}

const Schema& Schema::get() {
  static const Schema schema;
  return schema;
}

Schema::Schema() : groups_{""} {
  const Descriptor& spec = *v1::JobSpec::descriptor();
  for (int i = 0; i < spec.field_count(); ++i) {
    const FieldDescriptor* top = spec.field(i);
    if (top->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      add(make_field(nullptr, top));
      continue;
    }
    groups_.push_back(top->name());
    for (int j = 0; j < top->message_type()->field_count(); ++j) {
      add(make_field(top, top->message_type()->field(j)));
    }
  }
}

void Schema::add(Field field) {
  const std::size_t index = fields_.size();
  const auto insert = [&](auto& names, const std::string& name) {
    const auto [place, is_new] = names.emplace(name, index);
    if (!is_new && place->second != index) {
      throw Error(ErrorCode::kInternal, "the schema has two fields for the name " + name);
    }
  };
  const std::string prefix = field.group.empty() ? "" : field.group + ".";
  insert(by_flag_, field.flag);
  insert(by_flag_, field.key);
  insert(by_key_, field.key);
  for (const std::string& alias : field.rules.aliases()) {
    insert(by_flag_, alias);
    insert(by_key_, prefix + alias);
  }
  fields_.push_back(std::move(field));
}

const Field* Schema::by_flag(std::string_view name) const {
  const auto found = by_flag_.find(normal_name(name));
  return found == by_flag_.end() ? nullptr : &fields_[found->second];
}

const Field* Schema::by_key(std::string_view key) const {
  const auto found = by_key_.find(normal_name(key));
  return found == by_key_.end() ? nullptr : &fields_[found->second];
}

std::vector<std::string> Schema::flag_names() const {
  std::vector<std::string> names;
  for (const auto& [name, index] : by_flag_) names.push_back(name);
  return names;
}

std::vector<std::string> Schema::names_in(std::string_view group) const {
  std::vector<std::string> names;
  for (const Field& field : fields_) {
    if (field.group != group) continue;
    names.push_back(field.name);
    names.insert(names.end(), field.rules.aliases().begin(), field.rules.aliases().end());
  }
  if (group.empty()) names.insert(names.end(), groups_.begin() + 1, groups_.end());
  return names;
}

bool Schema::is_group(std::string_view name) const {
  return std::find(groups_.begin() + 1, groups_.end(), name) != groups_.end();
}

}  // namespace mdgen::config
