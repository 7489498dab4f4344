#include "services/coordinator/json_request.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::coordinator {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& path, const std::string& problem) {
  throw Error(ErrorCode::kInvalidArgument, (path.empty() ? "the body" : path) + ": " + problem);
}

std::vector<std::string> names_of(const Message& message) {
  std::vector<std::string> names;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i)
    names.push_back(message.GetDescriptor()->field(i)->name());
  return names;
}

const FieldDescriptor& field_of(const Message& message, const std::string& name, const std::string& path) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field != nullptr) return *field;
  const std::string nearest = nearest_name(name, names_of(message));
  refuse(path, "there is no such field" + (nearest.empty() ? std::string() : "; is " + nearest + " meant?"));
}

template <typename Number>
Number whole_number(const Json& json, const std::string& path) {
  using Limits = std::numeric_limits<Number>;
  if (!json.is_number_integer())
    refuse(path, "must be a whole number, not " + (json.is_number() ? json.dump() : json.type_name()));
  const bool fits = json.is_number_unsigned()
                        ? json.get<std::uint64_t>() <= static_cast<std::uint64_t>(Limits::max())
                        : json.get<std::int64_t>() >= static_cast<std::int64_t>(Limits::min());
  if (!fits) refuse(path, json.dump() + " is out of range");
  return json.get<Number>();
}

double number(const Json& json, const std::string& path) {
  if (!json.is_number()) refuse(path, "must be a number");
  return json.get<double>();
}

std::string text(const Json& json, const std::string& path) {
  if (!json.is_string()) refuse(path, "must be a text");
  return json.get<std::string>();
}

void take_message(const Json& json, Message& message, const std::string& path) {
  if (message.GetDescriptor() != google::protobuf::Timestamp::descriptor())
    return json_to_message(json, message, path);
  google::protobuf::Timestamp time;
  if (!google::protobuf::util::TimeUtil::FromString(text(json, path), &time))
    refuse(path, "must be a time as in RFC 3339");
  message.CopyFrom(time);
}

void take_single(const Json& json, Message& message, const FieldDescriptor& field, const std::string& path) {
  const auto& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!json.is_boolean()) refuse(path, "must be true or false");
      return reflection.SetBool(&message, &field, json.get<bool>());
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, &field, whole_number<std::int32_t>(json, path));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, &field, whole_number<std::int64_t>(json, path));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, &field, whole_number<std::uint32_t>(json, path));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &field, whole_number<std::uint64_t>(json, path));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, &field, static_cast<float>(number(json, path)));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &field, number(json, path));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, &field, text(json, path));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return take_message(json, *reflection.MutableMessage(&message, &field), path);
    case FieldDescriptor::CPPTYPE_ENUM:
      break;
  }
  refuse(path, "cannot be set over HTTP");
}

void take_list(const Json& json, Message& message, const FieldDescriptor& field, const std::string& path) {
  if (!json.is_array()) refuse(path, "must be a list");
  const auto& reflection = *message.GetReflection();
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string item = path + "[" + std::to_string(i) + "]";
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING)
      reflection.AddString(&message, &field, text(json[i], item));
    else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map())
      take_message(json[i], *reflection.AddMessage(&message, &field), item);
    else
      refuse(item, "cannot be set over HTTP");
  }
}

}  // namespace

Json parse_object(std::string_view text) {
  try {
    Json json = Json::parse(text.begin(), text.end());
    if (!json.is_object()) refuse("", "must be a JSON object");
    return json;
  } catch (const Json::exception& error) {
    throw Error(ErrorCode::kInvalidArgument, "the body is not JSON: " + to_utf8(error.what()));
  }
}

void json_to_message(const Json& object, Message& message, const std::string& path) {
  if (!object.is_object()) refuse(path, "must be an object");
  for (const auto& [name, value] : object.items()) {
    const std::string inner = path.empty() ? name : path + "." + name;
    const FieldDescriptor& field = field_of(message, name, inner);
    if (value.is_null()) continue;
    if (field.is_repeated()) {
      take_list(value, message, field, inner);
    } else {
      take_single(value, message, field, inner);
    }
  }
}

}  // namespace mdgen::coordinator
