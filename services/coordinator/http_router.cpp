#include "services/coordinator/http_router.h"

#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>
#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/base/error.h"
#include "core/base/fast_digest.h"
#include "core/base/text.h"
#include "services/access/change.h"
#include "services/coordinator/json_request.h"

namespace mdgen::coordinator {
namespace {

// What stands for {id}; nothing when the path is another.
std::optional<std::string> match(const std::string& form, const std::string& path) {
  const auto at = form.find("{id}");
  if (at == std::string::npos) return form == path ? std::optional<std::string>("") : std::nullopt;
  const std::string before = form.substr(0, at);
  const std::string after = form.substr(at + 4);
  if (path.size() <= before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after))
    return std::nullopt;
  std::string id = path.substr(before.size(), path.size() - before.size() - after.size());
  return id.find('/') == std::string::npos ? std::optional(std::move(id)) : std::nullopt;
}

[[noreturn]] void refuse(const std::string& name, const std::string& problem) {
  throw Error(ErrorCode::kInvalidArgument, to_utf8(name) + ": " + to_utf8(problem));
}

void check_value(const HttpParameter& parameter, const std::string& value) {
  if (parameter.kind == HttpParameter::Kind::kWhole) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size())
      refuse(parameter.name, "\"" + value + "\" is not a whole number");
    if (number < parameter.least || number > parameter.most)
      refuse(parameter.name, value + " is not within " + std::to_string(parameter.least) + " to " +
                                 std::to_string(parameter.most));
  } else if (parameter.kind == HttpParameter::Kind::kTime) {
    google::protobuf::Timestamp time;
    if (!google::protobuf::util::TimeUtil::FromString(value, &time))
      refuse(parameter.name, "\"" + value + "\" is not a time as in RFC 3339");
  } else if (to_utf8(value) != value) {
    refuse(parameter.name, "is not UTF-8");
  } else if (!parameter.choices.empty() && std::find(parameter.choices.begin(), parameter.choices.end(),
                                                     value) == parameter.choices.end()) {
    refuse(parameter.name, "\"" + value + "\" is none of " + join(parameter.choices, ", "));
  }
}

void take_query(const HttpOperation& operation, const httplib::Request& request, HttpRequest& taken) {
  for (const auto& [name, value] : request.params) {
    const auto parameter = std::find_if(operation.query.begin(), operation.query.end(),
                                        [&](const HttpParameter& one) { return one.name == name; });
    if (parameter == operation.query.end()) refuse(name, "there is no such parameter");
    check_value(*parameter, value);
    auto& values = taken.query[name];
    values.push_back(value);
    if (values.size() > 1 && !parameter->repeated) refuse(name, "is given more than once");
  }
}

void take_body(const HttpOperation& operation, const httplib::Request& request, HttpRequest& taken) {
  if (operation.body == nullptr) {
    if (operation.changes() && !request.body.empty()) refuse("the body", "there must be none");
    return;
  }
  const std::string type = request.get_header_value("Content-Type");
  if (trim(type.substr(0, type.find(';'))) != kJsonType)
    throw HttpError(415, "UnsupportedMediaType",
                    "Content-Type: \"" + to_utf8(type) + "\" is not " + kJsonType);
  taken.body = parse_object(request.body);
  if (taken.body.contains("id") && operation.body->FindFieldByName("id") != nullptr)
    refuse("id", "is in the path");
  for (const HttpBound& bound : operation.bounds) {
    const auto value = taken.body.find(bound.field);
    if (value != taken.body.end() && value->is_number() && value->get<double>() < bound.least)
      refuse(bound.field, "must be at least " + nlohmann::json(bound.least).dump());
  }
}

bool names_tag(const std::string& header, const std::string& tag) {
  if (trim(header) == "*") return true;
  for (const std::string& one : split(header, ','))
    if (trim(one) == tag) return true;
  return false;
}

// The reply's ETag, which it gets if it has none.
std::string tag_of(HttpReply& reply) {
  for (const auto& [name, value] : reply.headers)
    if (name == "ETag") return value;
  FastDigest digest;
  digest.update(reply.body);
  reply.headers.emplace_back("ETag", "W/\"" + digest.hex() + "\"");
  return reply.headers.back().second;
}

// A client that has this answer already is told so.
void add_tag(const httplib::Request& request, HttpReply& reply) {
  const std::string tag = tag_of(reply);
  if (!names_tag(request.get_header_value("If-None-Match"), tag)) return;
  reply.status = 304;
  reply.body.clear();
}

bool is_get(const std::string& method) { return method == "GET" || method == "HEAD"; }

}  // namespace

std::string HttpRequest::text(const std::string& name) const {
  const auto entry = query.find(name);
  return entry == query.end() ? "" : entry->second.front();
}

std::int64_t HttpRequest::whole(const std::string& name, std::int64_t otherwise) const {
  return has(name) ? std::stoll(text(name)) : otherwise;
}

void HttpRouter::bind(const std::string& operation, Handler handler) {
  const auto& all = http_operations();
  if (std::none_of(all.begin(), all.end(), [&](const HttpOperation& one) { return one.id == operation; }))
    throw Error(ErrorCode::kInternal, "there is no HTTP operation " + operation);
  handlers_[operation] = std::move(handler);
}

void HttpRouter::add_page(const std::string& path, Handler handler) {
  pages_.push_back({path, std::move(handler)});
}

std::vector<std::string> HttpRouter::unbound() const {
  std::vector<std::string> names;
  for (const HttpOperation& operation : http_operations())
    if (!handlers_.contains(operation.id)) names.push_back(operation.id);
  return names;
}

HttpRouter::Found HttpRouter::find(const std::string& method, const std::string& path) const {
  Found found;
  const std::string wanted = method == "HEAD" ? "GET" : method;
  for (const HttpOperation& operation : http_operations()) {
    auto id = match(operation.path, path);
    if (!id) continue;
    found.allowed +=
        (found.allowed.empty() ? "" : ", ") + operation.method + (operation.method == "GET" ? ", HEAD" : "");
    if (operation.method != wanted) continue;
    found.operation = &operation;
    found.id = std::move(*id);
  }
  return found;
}

const HttpRouter::Page* HttpRouter::find_page(const std::string& path) const {
  for (const Page& page : pages_) {
    const bool prefix = page.path.ends_with('*');
    if (prefix ? path.starts_with(page.path.substr(0, page.path.size() - 1)) : path == page.path)
      return &page;
  }
  return nullptr;
}

HttpReply HttpRouter::answer(const httplib::Request& request) const {
  HttpReply reply;
  try {
    reply = route(request);
  } catch (const std::exception& error) {
    reply = error_reply(error);
    if (reply.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  }
  if (is_get(request.method) && reply.status == 200) add_tag(request, reply);
  add_security_headers(reply);
  return reply;
}

HttpReply HttpRouter::route(const httplib::Request& request) const {
  const Found found = find(request.method, request.path);
  const bool changes = found.operation != nullptr && found.operation->changes();
  access::Caller caller =
      access_.admit(request, found.operation != nullptr ? request.method : "GET", changes);
  if (found.operation != nullptr)
    return serve(*found.operation, {.raw = request, .caller = std::move(caller), .id = found.id});
  const Page* page = find_page(request.path);
  if (page != nullptr && is_get(request.method))
    return page->handler({.raw = request, .caller = std::move(caller)});
  if (found.allowed.empty() && page == nullptr)
    throw HttpError(404, "NotFound", "there is nothing at " + to_utf8(request.path));
  HttpReply reply = error_reply(405, "MethodNotAllowed",
                                request.method + " " + to_utf8(request.path) + ": it takes " +
                                    (page != nullptr ? "GET, HEAD" : found.allowed));
  reply.headers.emplace_back("Allow", page != nullptr ? "GET, HEAD" : found.allowed);
  return reply;
}

HttpReply HttpRouter::serve(const HttpOperation& operation, HttpRequest request) const {
  if (operation.changes())
    changes_.take(request.caller.name.empty() ? request.caller.peer : request.caller.name);
  take_query(operation, request.raw, request);
  take_body(operation, request.raw, request);
  HttpReply reply = operation.changes() ? change(operation, request) : handlers_.at(operation.id)(request);
  if (reply.status == 200) reply.status = operation.success;
  return reply;
}

HttpReply HttpRouter::change(const HttpOperation& operation, const HttpRequest& request) const {
  constexpr std::size_t kLongest = 200;
  access::AuditRecord record;
  record.caller = request.caller;
  record.method = operation.id;
  record.job = request.id;
  const bool submits = operation.id == "SubmitJob";
  record.request = submits ? "over HTTP" : request.body.dump().substr(0, kLongest);
  return access::carry_out(audit_.get(), std::move(record), [&](access::AuditRecord& noted) {
    HttpReply reply = handlers_.at(operation.id)(request);
    for (const auto& [name, value] : reply.headers)
      if (submits && name == "Location") noted.job = value.substr(value.rfind('/') + 1);
    return reply;
  });
}

}  // namespace mdgen::coordinator
