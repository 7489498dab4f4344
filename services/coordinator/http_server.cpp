#include "services/coordinator/http_server.h"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "core/base/error.h"
#include "core/base/text.h"
#include "services/coordinator/address.h"
#include "services/coordinator/http_dashboard.h"
#include "services/coordinator/http_routes.h"

namespace mdgen::coordinator {
namespace {

constexpr std::size_t kRequestsOfAConnection = 1000;

// A request that is whole, and room for its answer: httplib needs no socket.
class MemoryStream final : public httplib::Stream {
 public:
  MemoryStream(std::string_view input, const std::string& peer) : input_(input), peer_(peer) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* data, std::size_t size) override {
    const std::size_t taken = std::min(size, input_.size());
    std::memcpy(data, input_.data(), taken);
    input_.remove_prefix(taken);
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* data, std::size_t size) override {
    output_.append(data, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    ip = peer_;
    port = 0;
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    ip.clear();
    port = 0;
  }
  socket_t socket() const override { return 0; }
  std::string take_output() { return std::move(output_); }

 private:
  std::string_view input_;
  const std::string& peer_;
  std::string output_;
};

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
}

// httplib's methods; it takes others for no HTTP at all.
bool is_known(std::string_view method) {
  constexpr std::array<std::string_view, 9> kKnown{"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                                   "CONNECT", "OPTIONS", "TRACE", "PATCH"};
  return std::find(kKnown.begin(), kKnown.end(), method) != kKnown.end();
}

// Without httplib; the connection ends with it.
std::string last_words(const HttpReply& reply) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " Refused\r\nConnection: close\r\n";
  for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
  text += "Content-Type: " + reply.type + "\r\n";
  return text + "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
}

void put(const HttpReply& reply, httplib::Response& response) {
  response.status = reply.status;
  for (const auto& [name, value] : reply.headers) response.set_header(name, value);
  if (reply.status != 304) response.set_content(reply.body, reply.type);
}

}  // namespace

// httplib parses requests and writes answers; sockets and threads are the listener's.
class HttpServer::Application final : public HttpApplication, private httplib::Server {
 public:
  explicit Application(const HttpRouter& router) {
    set_keep_alive_max_count(kRequestsOfAConnection);
    set_pre_routing_handler([&router](const httplib::Request& request, httplib::Response& response) {
      put(router.answer(request), response);
      return HandlerResponse::Handled;
    });
    // What httplib itself refuses.
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty() && response.status != 304)
        put(error_reply(response.status, code_of_status(response.status), "the request cannot be understood"),
            response);
    });
  }

  HttpRawAnswer answer(const HttpRawRequest& request) override {
    const std::string_view bytes = request.bytes;
    const std::string method(bytes.substr(0, bytes.find(' ')));
    std::string head(bytes.substr(0, request.head));
    // The router says what a path takes; httplib would not even ask it.
    if (is_token(method) && !is_known(method)) head.replace(0, method.size(), "PATCH");
    MemoryStream stream(head, request.peer);
    bool closes = false;
    bool understood = false;
    try {
      understood = process_request(stream, false, closes, [&](httplib::Request& parsed) {
        parsed.method = method;
        parsed.body = bytes.substr(request.head);
        parsed.ranges.clear();
        parsed.headers.erase("Expect");  // the listener has dealt with it
        parsed.headers.erase(kCertificateHeader);
        if (!request.certificate_name.empty())
          parsed.headers.emplace(kCertificateHeader, request.certificate_name);
      });
    } catch (const std::exception& error) {
      return {refusal(500, error.what()), true};
    }
    return {stream.take_output(), closes || !understood};
  }

  std::string refusal(int status, const std::string& problem) override {
    HttpReply reply = error_reply(status, code_of_status(status), problem);
    add_security_headers(reply);
    return last_words(reply);
  }

  bool is_prompt(std::string_view head) const override {
    return head.starts_with("GET /healthz") || head.starts_with("GET /readyz");
  }
};

HttpServer::HttpServer(Frontend& frontend, const std::string& address, HttpListener::Tls tls,
                       const HttpListenerLimits& limits)
    : router_(HttpAccess(parse_address("http", address), frontend.gate), frontend.changes, frontend.audit) {
  bind_job_lookups(router_, frontend);
  bind_job_changes(router_, frontend);
  bind_pool(router_, frontend);
  bind_probes(router_, frontend);
  bind_access(router_, HttpAccess(parse_address("http", address), frontend.gate));
  add_dashboard_pages(router_);
  if (const auto missing = router_.unbound(); !missing.empty())
    throw Error(ErrorCode::kInternal, "HTTP operations without a handler: " + join(missing, ", "));
  application_ = std::make_unique<Application>(router_);
  listener_ = std::make_unique<HttpListener>(*application_, address, limits, std::move(tls));
}

HttpServer::~HttpServer() = default;

void HttpServer::stop() { listener_->stop(); }

}  // namespace mdgen::coordinator
