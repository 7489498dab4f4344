#include "core/config/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::config {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return std::nullopt;
}

bool is_utf8(const std::string& text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

// A decimal point or exponent, so that every YAML reader takes it for a floating-point number.
std::string double_text(double number) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number);
  std::string text(buffer, end);
  const std::size_t exponent = text.find('e');
  if (text.find('.') == std::string::npos)
    text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
  return text;
}

bool is_floating(const Field& field) { return field.leaf().cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE; }

std::string bound_text(const Field& field, double bound) {
  return is_floating(field) ? double_text(bound) : std::to_string(static_cast<std::int64_t>(bound));
}

std::string number_range(const Field& field) {
  const bool has_min = field.rules.has_min() || field.leaf().cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
  const bool is_int32 = field.leaf().cpp_type() == FieldDescriptor::CPPTYPE_INT32;
  const bool has_max = field.rules.has_max() || is_int32;
  const double max = field.rules.has_max() ? field.rules.max() : std::numeric_limits<std::int32_t>::max();
  const std::string low = bound_text(field, field.rules.min());
  const std::string high = bound_text(field, max);
  if (has_min && has_max) return " from " + low + " to " + high;
  if (has_min) return " of at least " + low;
  if (has_max) return " of at most " + high;
  return "";
}

const Message* parent_of(const v1::JobSpec& spec, const Field& field) {
  if (field.path.size() == 1) return &spec;
  const FieldDescriptor* group = field.path.front();
  if (!spec.GetReflection()->HasField(spec, group)) return nullptr;
  return &spec.GetReflection()->GetMessage(spec, group);
}

Message* mutable_parent_of(v1::JobSpec& spec, const Field& field) {
  if (field.path.size() == 1) return &spec;
  return spec.GetReflection()->MutableMessage(&spec, field.path.front());
}

}  // namespace

std::optional<Value> parse_value(const Field& field, std::string_view text) {
  const auto as_value = [](const auto& parsed) {
    return parsed ? std::optional<Value>(*parsed) : std::nullopt;
  };
  switch (field.leaf().cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return as_value(parse_bool(text));
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto number = parse_number<std::int32_t>(text);
      return number ? std::optional<Value>(std::int64_t{*number}) : std::nullopt;
    }
    case FieldDescriptor::CPPTYPE_INT64:
      return as_value(parse_number<std::int64_t>(text));
    case FieldDescriptor::CPPTYPE_UINT64:
      return as_value(parse_number<std::uint64_t>(text));
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const auto number = parse_number<double>(text);
      return number && std::isfinite(*number) ? std::optional<Value>(*number) : std::nullopt;
    }
    default: {
      std::string copy(text);
      const bool is_text = is_utf8(copy) && copy.find('\0') == std::string::npos;
      return is_text ? std::optional<Value>(std::move(copy)) : std::nullopt;
    }
  }
}

std::string value_text(const Value& value) {
  struct Writer {
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(std::uint64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return double_text(number); }
    std::string operator()(const std::string& text) const { return text; }
  };
  return std::visit(Writer{}, value);
}

bool is_allowed(const Field& field, const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    const auto& choices = field.rules.choices();
    if (text->empty()) return choices.empty() && field.rules.default_().empty() && !field.rules.required();
    return choices.empty() || std::find(choices.begin(), choices.end(), *text) != choices.end();
  }
  if (std::holds_alternative<bool>(value)) return true;
  const double number = std::visit(
      [](const auto& held) -> double {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(held)>>) return static_cast<double>(held);
        return 0;
      },
      value);
  return std::isfinite(number) && (!field.rules.has_min() || number >= field.rules.min()) &&
         (!field.rules.has_max() || number <= field.rules.max());
}

std::string allowed_text(const Field& field) {
  switch (field.leaf().cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::vector<std::string> choices(field.rules.choices().begin(), field.rules.choices().end());
      if (!choices.empty()) return "one of " + join(choices, ", ");
      const bool may_be_empty = field.rules.default_().empty() && !field.rules.required();
      return std::string(field.rules.path() ? "a path" : "UTF-8 text") + (may_be_empty ? "" : ", not empty");
    }
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number" + number_range(field);
    default:
      return "a whole number" + number_range(field);
  }
}

std::optional<Value> get_value(const v1::JobSpec& spec, const Field& field) {
  const Message* parent = parent_of(spec, field);
  if (parent == nullptr) return std::nullopt;
  const auto& reflection = *parent->GetReflection();
  const FieldDescriptor* leaf = &field.leaf();
  if (!reflection.HasField(*parent, leaf)) return std::nullopt;
  switch (leaf->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(*parent, leaf);
    case FieldDescriptor::CPPTYPE_INT32:
      return std::int64_t{reflection.GetInt32(*parent, leaf)};
    case FieldDescriptor::CPPTYPE_INT64:
      return std::int64_t{reflection.GetInt64(*parent, leaf)};
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::uint64_t{reflection.GetUInt64(*parent, leaf)};
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(*parent, leaf);
    default:
      return reflection.GetString(*parent, leaf);
  }
}

void set_value(v1::JobSpec& spec, const Field& field, const Value& value) {
  Message* parent = mutable_parent_of(spec, field);
  const auto& reflection = *parent->GetReflection();
  const FieldDescriptor* leaf = &field.leaf();
  switch (leaf->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(parent, leaf, std::get<bool>(value));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(parent, leaf, static_cast<std::int32_t>(std::get<std::int64_t>(value)));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(parent, leaf, std::get<std::int64_t>(value));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(parent, leaf, std::get<std::uint64_t>(value));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(parent, leaf, std::get<double>(value));
    default:
      return reflection.SetString(parent, leaf, std::get<std::string>(value));
  }
}

void clear_value(v1::JobSpec& spec, const Field& field) {
  if (parent_of(spec, field) == nullptr) return;
  Message* parent = mutable_parent_of(spec, field);
  parent->GetReflection()->ClearField(parent, &field.leaf());
}

std::optional<Value> default_value(const Field& field) {
  if (field.rules.default_().empty()) return std::nullopt;
  std::optional<Value> value = parse_value(field, field.rules.default_());
  if (!value || !is_allowed(field, *value)) {
    throw Error(ErrorCode::kInternal,
                "the schema's default of " + field.key + " is not allowed by its rules");
  }
  return value;
}

void set_text(v1::JobSpec& spec, const Field& field, std::string_view text, const std::string& where) {
  const std::optional<Value> value = parse_value(field, text);
  if (!value || !is_allowed(field, *value)) {
    throw Error(ErrorCode::kInvalidArgument, where + ": " + field.key + " cannot be \"" + std::string(text) +
                                                 "\"; allowed: " + allowed_text(field));
  }
  set_value(spec, field, *value);
}

}  // namespace mdgen::config
