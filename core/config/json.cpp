#include "core/config/json.h"

#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <cctype>
#include <cmath>
#include <map>

#include "core/base/error.h"
#include "core/config/spec.h"

namespace mdgen::config {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// JobState -> "JOB_STATE_".
std::string enum_prefix(const std::string& type) {
  std::string prefix;
  for (std::size_t i = 0; i < type.size(); ++i) {
    const auto c = static_cast<unsigned char>(type[i]);
    if (i > 0 && std::isupper(c) != 0) prefix += '_';
    prefix += static_cast<char>(std::toupper(c));
  }
  return prefix + "_";
}

std::string enum_text(const EnumValueDescriptor& value) {
  const std::string prefix = enum_prefix(value.type()->name());
  return value.name().starts_with(prefix) ? value.name().substr(prefix.size()) : value.name();
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json nested(const Message& message, Unset unset) {
  if (message.GetDescriptor() == google::protobuf::Timestamp::descriptor()) {
    google::protobuf::Timestamp time;
    time.CopyFrom(message);
    return google::protobuf::util::TimeUtil::ToString(time);
  }
  return message_to_json(message, unset);
}

Json single(const Message& message, const FieldDescriptor* field, Unset unset) {
  const auto& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, field);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, field);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return number(reflection.GetFloat(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number(reflection.GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return enum_text(*reflection.GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return nested(reflection.GetMessage(message, field), unset);
  }
  throw Error(ErrorCode::kInternal, "JSON of " + field->full_name());
}

Json repeated(const Message& message, const FieldDescriptor* field, Unset unset) {
  const auto& reflection = *message.GetReflection();
  Json list = Json::array();
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        list.push_back(reflection.GetRepeatedInt32(message, field, i));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        list.push_back(reflection.GetRepeatedInt64(message, field, i));
        break;
      case FieldDescriptor::CPPTYPE_DOUBLE:
        list.push_back(number(reflection.GetRepeatedDouble(message, field, i)));
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        list.push_back(reflection.GetRepeatedString(message, field, i));
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        list.push_back(nested(reflection.GetRepeatedMessage(message, field, i), unset));
        break;
      default:
        throw Error(ErrorCode::kInternal, "JSON of the list " + field->full_name());
    }
  }
  return list;
}

// Of a map with texts as keys.
Json mapped(const Message& message, const FieldDescriptor* field, Unset unset) {
  const auto& reflection = *message.GetReflection();
  const FieldDescriptor* key = field->message_type()->map_key();
  const FieldDescriptor* value = field->message_type()->map_value();
  std::map<std::string, Json> sorted;
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, field, i);
    sorted[entry.GetReflection()->GetString(entry, key)] = single(entry, value, unset);
  }
  Json object = Json::object();
  for (auto& [name, content] : sorted) object[name] = std::move(content);
  return object;
}

}  // namespace

Json message_to_json(const Message& message, Unset unset) {
  Json object = Json::object();
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const bool is_set =
        field->is_repeated() ? reflection.FieldSize(message, field) > 0 : reflection.HasField(message, field);
    if (!is_set && unset == Unset::kLeaveOut) continue;
    if (field->is_map()) {
      object[field->name()] = mapped(message, field, unset);
    } else if (field->is_repeated()) {
      object[field->name()] = repeated(message, field, unset);
    } else if (!is_set && field->has_presence()) {
      object[field->name()] = nullptr;
    } else {
      object[field->name()] = single(message, field, unset);
    }
  }
  return object;
}

Json job_to_json(const v1::Job& job) {
  Json object = message_to_json(job, Unset::kInclude);
  for (auto& [key, value] : object.items()) {
    if (value.is_string() && value.get_ref<const std::string&>().empty()) value = nullptr;
  }
  if (job.has_spec()) object["spec"] = message_to_json(job.spec(), Unset::kLeaveOut);
  return object;
}

std::string job_json(const v1::Job& job) { return job_to_json(job).dump(); }

std::string jobs_json(const v1::ListJobsResponse& response) {
  Json list = Json::array();
  for (const v1::Job& job : response.jobs()) list.push_back(job_to_json(job));
  return Json{{"jobs", std::move(list)}, {"next_page_token", response.next_page_token()}}.dump();
}

std::string to_json(const JobSpec& spec) { return message_to_json(spec, Unset::kLeaveOut).dump(); }

JobSpec from_json(const std::string& json) {
  JobSpec spec;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &spec);
  if (!status.ok()) {
    throw Error(ErrorCode::kInvalidArgument, "not a job spec in JSON: " + std::string(status.message()));
  }
  return spec;
}

}  // namespace mdgen::config
