// From a request to its handler: path, method, query and body are checked against the table of operations
// before, so that handlers see nothing that openapi.yaml does not allow.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/access/audit_log.h"
#include "services/access/caller.h"
#include "services/coordinator/http_access.h"
#include "services/coordinator/http_api.h"
#include "services/coordinator/http_reply.h"
#include "services/coordinator/limits.h"

namespace httplib {
struct Request;
}

namespace mdgen::coordinator {

// What a handler gets.
struct HttpRequest {
  const httplib::Request& raw;
  access::Caller caller;
  std::string id{};                                         // what stands for {id}
  std::map<std::string, std::vector<std::string>> query{};  // those that were given
  nlohmann::json body = nlohmann::json::object();

  bool has(const std::string& name) const { return query.contains(name); }
  // The first value; "" without one.
  std::string text(const std::string& name) const;
  std::int64_t whole(const std::string& name, std::int64_t otherwise = 0) const;
};

class HttpRouter {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;

  // `audit` may be null.
  HttpRouter(HttpAccess access, RateLimit& changes, std::shared_ptr<access::AuditLog> audit)
      : access_(std::move(access)), changes_(changes), audit_(std::move(audit)) {}

  // Of the operation with this id. Throws Error(kInternal) when there is none.
  void bind(const std::string& operation, Handler handler);
  // Something for people (GET): `path` exactly, or with a '*' at its end all that begins so.
  void add_page(const std::string& path, Handler handler);

  // Thread-safe after the last bind(). Does not throw.
  HttpReply answer(const httplib::Request& request) const;

  // Operations without a handler, which a test wants to be none.
  std::vector<std::string> unbound() const;

 private:
  struct Page {
    std::string path;
    Handler handler;
  };
  struct Found {
    const HttpOperation* operation = nullptr;  // null: none of this method
    std::string id;
    std::string allowed;  // methods of this path
  };
  Found find(const std::string& method, const std::string& path) const;
  const Page* find_page(const std::string& path) const;
  HttpReply route(const httplib::Request& request) const;
  HttpReply serve(const HttpOperation& operation, HttpRequest request) const;
  HttpReply change(const HttpOperation& operation, const HttpRequest& request) const;

  const HttpAccess access_;
  RateLimit& changes_;
  const std::shared_ptr<access::AuditLog> audit_;
  std::map<std::string, Handler> handlers_;
  std::vector<Page> pages_;
};

}  // namespace mdgen::coordinator
