#include "core/checkpoint/flags.h"

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/schema.h"

namespace mdgen::checkpoint {
namespace {

using config::Field;
using config::Schema;
using config::Value;
using format::PickleTree;
using format::PickleValue;
using Kind = PickleValue::Kind;

std::string flag_name(const Field& field) { return field.key == "name" ? "run_name" : field.name; }

// Which checkpoint a run started from says nothing about a run that starts from its own.
bool is_flag(const Field& field) { return field.rules.reference(); }
bool is_start(const Field& field) { return field.key == "checkpoint.ckpt"; }

// The reference's texts that default to "" rather than to None.
bool defaults_to_empty_text(const Field& field) { return field.key == "data.suffix"; }

PickleValue& to_value(PickleTree& tree, const Field& field, const std::optional<Value>& value) {
  if (!value || is_start(field)) return defaults_to_empty_text(field) ? tree.text("") : tree.none();
  if (const bool* flag = std::get_if<bool>(&*value)) return tree.boolean(*flag);
  if (const auto* number = std::get_if<std::int64_t>(&*value)) return tree.integer(*number);
  if (const auto* number = std::get_if<std::uint64_t>(&*value)) {
    return tree.integer(static_cast<std::int64_t>(*number));
  }
  if (const double* number = std::get_if<double>(&*value)) return tree.real(*number);
  return tree.text(std::get<std::string>(*value));
}

std::string text_of(const PickleValue& value) {
  switch (value.kind()) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return value.integer != 0 ? "true" : "false";
    case Kind::kInt:
      return std::to_string(value.integer);
    case Kind::kFloat:
      return config::value_text(Value(value.real));
    case Kind::kText:
      return to_utf8(value.text).substr(0, 4096);
    default:
      return "(something else)";
  }
}

bool is_number(const PickleValue& value) { return value.is(Kind::kInt) || value.is(Kind::kFloat); }

bool fits_type(const Field& field, const PickleValue& value) {
  using Type = google::protobuf::FieldDescriptor;
  switch (field.leaf().cpp_type()) {
    case Type::CPPTYPE_BOOL:
      return value.is(Kind::kBool);
    case Type::CPPTYPE_STRING:
      return value.is(Kind::kText) || value.is(Kind::kInt);  // precision: 32
    default:
      return is_number(value);
  }
}

// The reference's wrapper sets flags that an older Namespace lacks to False, whatever their type.
bool means_unset(const Field& field, const PickleValue& value) {
  const bool is_flag = field.leaf().cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_BOOL;
  return value.is(Kind::kNone) || (value.is(Kind::kText) && value.text.empty()) ||
         (!is_flag && value.is(Kind::kBool) && value.integer == 0);
}

void take_over(const Field& field, const PickleValue& value, ImportedFlags& flags) {
  if (is_start(field) || means_unset(field, value)) return;
  const std::string text = text_of(value);
  if (!fits_type(field, value)) {
    flags.wrong.push_back(flag_name(field) + " = " + text + ": not " + config::allowed_text(field));
    return;
  }
  try {
    config::set_text(flags.spec, field, text, flag_name(field));
  } catch (const Error& error) {
    flags.wrong.push_back(flag_name(field) + " = " + text + ": " + error.what());
  }
}

}  // namespace

PickleValue& to_namespace(PickleTree& tree, const v1::JobSpec& resolved) {
  PickleValue& args = tree.dict(Kind::kNamespace);
  for (const Field& field : Schema::get().fields()) {
    if (!is_flag(field)) continue;
    std::optional<Value> value = config::get_value(resolved, field);
    if (!value) value = config::default_value(field);
    tree.put(args, flag_name(field), to_value(tree, field, value));
  }
  return args;
}

ImportedFlags from_namespace(const PickleValue& args) {
  ImportedFlags flags;
  for (std::size_t i = 0; args.is_dict() && i + 1 < args.items.size(); i += 2) {
    const PickleValue& key = *args.items[i];
    const PickleValue& value = *args.items[i + 1];
    const std::string name = text_of(key);
    const Field* field = key.is(Kind::kText) ? Schema::get().by_flag(name) : nullptr;
    if (field == nullptr || !is_flag(*field)) {
      flags.unknown.push_back(name + " = " + text_of(value));
    } else {
      take_over(*field, value, flags);
    }
  }
  return flags;
}

}  // namespace mdgen::checkpoint
