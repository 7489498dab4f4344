#include "services/coordinator/openapi.h"

#include <google/protobuf/timestamp.pb.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "core/config/yaml_text.h"
#include "mdgen/v1/options.pb.h"
#include "services/access/methods.h"
#include "services/coordinator/http_api.h"

namespace mdgen::coordinator {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using Json = nlohmann::ordered_json;

// An answer has every field, null where it is unset; a request has those that are meant.
enum class Direction { kAnswer, kRequest };

Json reference(const std::string& name) { return {{"$ref", "#/components/schemas/" + name}}; }

std::string schema_name(const Descriptor& message, Direction direction) {
  return message.name() +
         (direction == Direction::kRequest && !message.name().ends_with("Request") ? "Input" : "");
}

std::string prefix_of(const EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (!prefix.empty() && std::isupper(static_cast<unsigned char>(c)) != 0) prefix += '_';
    prefix += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return prefix + "_";
}

Json enum_schema(const EnumDescriptor& type) {
  const std::string prefix = prefix_of(type);
  Json values = Json::array();
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string& name = type.value(i)->name();
    values.push_back(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
  }
  return {{"type", "string"}, {"enum", values}};
}

class Schemas {
 public:
  Json of(const Descriptor& message, Direction direction, const std::vector<HttpBound>& bounds = {}) {
    if (&message == google::protobuf::Timestamp::descriptor())
      return {{"type", "string"}, {"format", "date-time"}};
    const std::string name = schema_name(message, direction);
    if (made_.insert(name).second) all_[name] = object(message, direction);
    for (const HttpBound& bound : bounds) all_[name]["properties"][bound.field]["minimum"] = bound.least;
    return reference(name);
  }
  void add(const std::string& name, Json schema) { all_[name] = std::move(schema); }
  Json take() {
    Json sorted = Json::object();
    for (auto& [name, schema] : all_) sorted[name] = std::move(schema);
    return sorted;
  }

 private:
  Json object(const Descriptor& message, Direction direction) {
    Json properties = Json::object();
    Json required = Json::array();
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      // The id of what a request is about is in its path.
      if (direction == Direction::kRequest && field.name() == "id") continue;
      properties[field.name()] = property(field, direction);
      if (direction == Direction::kAnswer) required.push_back(field.name());
    }
    Json schema = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
    // A spec in an answer holds its set fields alone.
    const bool whole = direction == Direction::kAnswer && !is_spec(message);
    if (whole && !required.empty()) schema["required"] = required;
    if (message.name() == "SubmitJobRequest") schema["required"] = {"spec"};
    return schema;
  }

  static bool is_spec(const Descriptor& message) {
    return message.file()->name().ends_with("job_spec.proto");
  }

  Json property(const FieldDescriptor& field, Direction direction) {
    Json schema;
    if (field.is_map()) {
      schema = {{"type", "object"},
                {"additionalProperties", single(*field.message_type()->map_value(), direction)}};
    } else if (field.is_repeated()) {
      schema = {{"type", "array"}, {"items", single(field, direction)}};
    } else {
      schema = single(field, direction);
      if (may_be_null(field, direction)) schema = nullable(std::move(schema));
    }
    if (direction == Direction::kRequest && !schema.contains("$ref")) add_rules(field, schema);
    const std::string& help = field.options().GetExtension(v1::rules).help();
    if (!help.empty() && !schema.contains("$ref")) schema["description"] = help;
    return schema;
  }

  static void add_rules(const FieldDescriptor& field, Json& schema) {
    const v1::FieldRules& rules = field.options().GetExtension(v1::rules);
    if (rules.has_min()) schema["minimum"] = bound(field, rules.min());
    if (rules.has_max()) schema["maximum"] = bound(field, rules.max());
    if (rules.choices().empty()) return;
    schema["enum"] = std::vector<std::string>(rules.choices().begin(), rules.choices().end());
    schema["enum"].push_back(nullptr);
  }
  static Json bound(const FieldDescriptor& field, double value) {
    const bool is_double = field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    return is_double ? Json(value) : Json(static_cast<std::int64_t>(value));
  }

  // Unset fields, texts of a job that are empty, numbers that are not finite.
  static bool may_be_null(const FieldDescriptor& field, Direction direction) {
    const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    const bool is_double = field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    return direction == Direction::kRequest || field.has_presence() || is_double ||
           (is_text && field.containing_type()->name() == "Job");
  }
  static Json nullable(Json schema) {
    if (schema.contains("$ref")) return {{"nullable", true}, {"allOf", {schema}}};
    schema["nullable"] = true;
    return schema;
  }

  Json single(const FieldDescriptor& field, Direction direction) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return {{"type", "boolean"}};
      case FieldDescriptor::CPPTYPE_INT32:
        return {{"type", "integer"}, {"format", "int32"}, {"minimum", INT32_MIN}, {"maximum", INT32_MAX}};
      case FieldDescriptor::CPPTYPE_INT64:
        return {{"type", "integer"}, {"format", "int64"}, {"minimum", INT64_MIN}, {"maximum", INT64_MAX}};
      case FieldDescriptor::CPPTYPE_UINT32:
        return {{"type", "integer"}, {"minimum", 0}, {"maximum", UINT32_MAX}};
      case FieldDescriptor::CPPTYPE_UINT64:
        return {{"type", "integer"}, {"minimum", 0}, {"maximum", UINT64_MAX}};
      case FieldDescriptor::CPPTYPE_FLOAT:
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return field.is_repeated() ? Json{{"type", "number"}, {"nullable", true}} : Json{{"type", "number"}};
      case FieldDescriptor::CPPTYPE_ENUM:
        return enum_schema(*field.enum_type());
      case FieldDescriptor::CPPTYPE_STRING:
        return {{"type", "string"}};
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return of(*field.message_type(), direction);
    }
    return {};
  }

  std::set<std::string> made_;
  std::map<std::string, Json> all_;
};

Json query_parameter(const HttpParameter& parameter) {
  Json schema;
  switch (parameter.kind) {
    case HttpParameter::Kind::kWhole:
      schema = {{"type", "integer"}, {"minimum", parameter.least}, {"maximum", parameter.most}};
      break;
    case HttpParameter::Kind::kTime:
      schema = {{"type", "string"}, {"format", "date-time"}};
      break;
    case HttpParameter::Kind::kText:
      schema = {{"type", "string"}};
      if (!parameter.choices.empty()) schema["enum"] = parameter.choices;
      break;
  }
  if (parameter.repeated) schema = {{"type", "array"}, {"items", schema}};
  Json json = {{"name", parameter.name}, {"in", "query"}, {"required", false}, {"schema", schema}};
  if (!parameter.help.empty()) json["description"] = parameter.help;
  return json;
}

std::string reason_of(int status) {
  switch (status) {
    case 400:
      return "A value is not allowed.";
    case 401:
      return "The token is missing or wrong.";
    case 403:
      return "Not allowed to this caller, or to pages of this site.";
    case 404:
      return "There is no such thing.";
    case 405:
      return "The path takes other methods.";
    case 409:
      return "Its state does not allow it.";
    case 413:
      return "The body is too large.";
    case 415:
      return "The body is not JSON.";
    case 429:
      return "Too many requests.";
    default:
      return "It cannot be served at the moment.";
  }
}

Json answers(const HttpOperation& operation, Schemas& schemas) {
  Json json = Json::object();
  const Json schema = operation.reply != nullptr ? schemas.of(*operation.reply, Direction::kAnswer)
                                                 : reference(operation.schema);
  Json content = {{operation.type, {{"schema", schema}}}};
  if (operation.id == "GetLogs") content["text/plain"] = {{"schema", reference("Text")}};
  json[std::to_string(operation.success)] = {{"description", "As asked for."}, {"content", content}};
  std::set<int> errors{400, 401, 403, 503};
  errors.insert(operation.errors.begin(), operation.errors.end());
  if (operation.changes()) errors.insert({413, 429});
  if (operation.body != nullptr) errors.insert(415);
  for (const int status : errors)
    json[std::to_string(status)] = {{"description", reason_of(status)},
                                    {"content", {{"application/json", {{"schema", reference("Error")}}}}}};
  return json;
}

Json operation_json(const HttpOperation& operation, Schemas& schemas) {
  Json json = {{"operationId", operation.id}, {"summary", operation.summary}};
  Json parameters = Json::array();
  if (operation.path.find("{id}") != std::string::npos)
    parameters.push_back({{"name", "id"},
                          {"in", "path"},
                          {"required", true},
                          {"description", "The id; of a job also its name, when only one has it."},
                          {"schema", {{"type", "string"}, {"minLength", 1}}}});
  for (const HttpParameter& parameter : operation.query) parameters.push_back(query_parameter(parameter));
  if (!parameters.empty()) json["parameters"] = parameters;
  if (operation.body != nullptr) {
    const Json schema = schemas.of(*operation.body, Direction::kRequest, operation.bounds);
    json["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", schema}}}}}};
  }
  json["responses"] = answers(operation, schemas);
  if (access::http_route(operation.method, operation.path).need == access::Need::kNothing)
    json["security"] = Json::array();
  return json;
}

Json object(Json properties, Json required) {
  return Json{{"type", "object"},
              {"properties", std::move(properties)},
              {"required", std::move(required)},
              {"additionalProperties", false}};
}

// What SamplePictures::get makes (sample_pictures.h).
void add_samples_schemas(Schemas& schemas) {
  const Json text = {{"type", "string"}};
  const Json count = {{"type", "integer"}, {"minimum", 0}};
  const Json number = {{"type", "number"}, {"nullable", true}};
  const Json rmsf = {{"type", "array"}, {"items", number}, {"nullable", true}};
  const auto of = [](const std::string& name) { return Json{{"$ref", "#/components/schemas/" + name}}; };
  const auto or_null = [&](const std::string& name) {
    return Json{{"nullable", true}, {"allOf", Json::array({of(name)})}};
  };
  schemas.add("Ramachandran",
              object({{"bins", count}, {"counts", {{"type", "array"}, {"items", count}}}, {"total", count}},
                     {"bins", "counts", "total"}));
  schemas.add(
      "SampleData",
      object({{"source", text}, {"frames", count}, {"ramachandran", of("Ramachandran")}, {"rmsf", rmsf}},
             {"source", "frames", "ramachandran", "rmsf"}));
  schemas.add("SamplePicture", object({{"file", text},
                                       {"frames", count},
                                       {"residues", count},
                                       {"ramachandran", of("Ramachandran")},
                                       {"rmsf", rmsf},
                                       {"jensen_shannon", number},
                                       {"note", text},
                                       {"training", or_null("SampleData")}},
                                      {"file", "frames", "residues", "ramachandran", "rmsf", "jensen_shannon",
                                       "note", "training"}));
  const Json file = object({{"file", text}, {"name", text}, {"epoch", count}}, {"file", "name", "epoch"});
  schemas.add("Samples", object({{"samples", {{"type", "array"}, {"items", file}}},
                                 {"picture", or_null("SamplePicture")}},
                                {"samples", "picture"}));
}

void add_own_schemas(Schemas& schemas) {
  const Json text = {{"type", "string"}};
  schemas.add("Text", text);
  schemas.add("Health", object({{"status", {{"type", "string"}, {"enum", {"SERVING"}}}}}, {"status"}));
  schemas.add("Access",
              object({{"required", {{"type", "boolean"}}}, {"name", text}, {"role", text}}, {"required"}));
  schemas.add("Error", object({{"error", object({{"code", text}, {"message", text}}, {"code", "message"})}},
                              {"error"}));
  schemas.add("LogPiece", object({{"text", text},
                                  {"next_offset", {{"type", "integer"}, {"minimum", 0}}},
                                  {"attempt", {{"type", "integer"}, {"minimum", 0}}},
                                  {"ended", {{"type", "boolean"}}}},
                                 {"text", "next_offset", "attempt", "ended"}));
  add_samples_schemas(schemas);
}

}  // namespace

Json openapi() {
  Schemas schemas;
  add_own_schemas(schemas);
  Json paths = Json::object();
  for (const HttpOperation& operation : http_operations()) {
    std::string method = operation.method;
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    paths[operation.path][method] = operation_json(operation, schemas);
  }
  return {{"openapi", "3.0.3"},
          {"info",
           {{"title", "mdgen-coordinator"},
            {"version", "v1"},
            {"description",
             "Jobs, workers and the queue of an MDGen training service. Made from the schema; "
             "see docs/api.md."}}},
          {"paths", paths},
          {"components",
           {{"schemas", schemas.take()},
            {"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
          {"security", Json::array({{{"token", Json::array()}}})}};
}

std::string openapi_yaml() {
  return "# Made by `mdgen-coordinator --openapi`; a test compares.\n" + config::yaml_text(openapi());
}

}  // namespace mdgen::coordinator
