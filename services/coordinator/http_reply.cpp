#include "services/coordinator/http_reply.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "services/coordinator/limits.h"

namespace mdgen::coordinator {
namespace {

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnimplemented:
      return 400;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kFailedPrecondition:
    case ErrorCode::kAborted:
      return 409;
    case ErrorCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

HttpReply json_reply(std::string json, int status) {
  json += '\n';
  return {.status = status, .body = std::move(json)};
}

HttpReply error_reply(int status, const std::string& code, const std::string& message) {
  const nlohmann::ordered_json json = {{"error", {{"code", code}, {"message", to_utf8(message)}}}};
  return json_reply(json.dump(), status);
}

HttpReply error_reply(const std::exception& error) {
  if (const auto* known = dynamic_cast<const HttpError*>(&error))
    return error_reply(known->status(), known->code(), known->what());
  if (const auto* many = dynamic_cast<const TooMany*>(&error)) {
    HttpReply reply = error_reply(429, "ResourceExhausted", many->what());
    const auto wait = static_cast<long>(std::ceil(many->retry_after_seconds()));
    reply.headers.emplace_back("Retry-After", std::to_string(wait));
    return reply;
  }
  if (const auto* known = dynamic_cast<const Error*>(&error))
    return error_reply(status_of(known->code()), error_code_name(known->code()), known->what());
  return error_reply(500, "Internal", error.what());
}

void add_security_headers(HttpReply& reply) {
  const auto add = [&](const char* name, const char* value) {
    const bool has = std::any_of(reply.headers.begin(), reply.headers.end(),
                                 [&](const auto& header) { return header.first == name; });
    if (!has) reply.headers.emplace_back(name, value);
  };
  add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  add("X-Content-Type-Options", "nosniff");
  add("X-Frame-Options", "DENY");
  add("Referrer-Policy", "no-referrer");
  add("Cross-Origin-Resource-Policy", "same-origin");
  add("Cache-Control", "no-cache");
}

std::string code_of_status(int status) {
  switch (status) {
    case 404:
      return "NotFound";
    case 405:
      return "MethodNotAllowed";
    case 411:
      return "LengthRequired";
    case 413:
      return "TooLarge";
    case 415:
      return "UnsupportedMediaType";
    case 431:
      return "HeadersTooLarge";
    case 503:
      return "Unavailable";
    default:
      return status < 500 ? "BadRequest" : "Internal";
  }
}

}  // namespace mdgen::coordinator
