// What an HTTP route gives back, and errors as it tells them:
// {"error": {"code": "NotFound", "message": "…"}}.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mdgen::coordinator {

inline constexpr const char* kJsonType = "application/json";

struct HttpReply {
  int status = 200;
  std::string type = kJsonType;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers{};
};

// JSON on one line.
HttpReply json_reply(std::string json, int status = 200);
HttpReply error_reply(int status, const std::string& code, const std::string& message);
// Of whatever was thrown.
HttpReply error_reply(const std::exception& error);

// What browsers shall not do with answers; a header that is there already stays.
void add_security_headers(HttpReply& reply);

// What HTTP alone knows of: 401, 405, 415, ….
class HttpError : public std::runtime_error {
 public:
  HttpError(int status, std::string code, const std::string& message)
      : std::runtime_error(message), status_(status), code_(std::move(code)) {}
  int status() const { return status_; }
  const std::string& code() const { return code_; }

 private:
  int status_;
  std::string code_;
};

// "NotFound" for 404, …: of what is refused before there is a route.
std::string code_of_status(int status);

}  // namespace mdgen::coordinator
