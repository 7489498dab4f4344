#include "services/coordinator/http_server.h"

#include <httplib.h>

#include <charconv>
#include <chrono>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/config/json.h"
#include "services/coordinator/address.h"
#include "services/coordinator/http_dashboard.h"

namespace mdgen::coordinator {
namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
// How long a silent connection may hold one of the few threads, and with it the server's end.
constexpr std::chrono::seconds kClientPatience{1};

void reply(httplib::Response& response, int status, const std::string& body) {
  response.status = status;
  response.set_content(body + "\n", kJson);
}

void reply_error(httplib::Response& response, int status, const std::string& code,
                 const std::string& message) {
  reply(response, status, config::Json{{"error", {{"code", code}, {"message", to_utf8(message)}}}}.dump());
}

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kFailedPrecondition:
      return 400;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

template <typename Body>
httplib::Server::Handler guarded_handler(Body body) {
  return [body](const httplib::Request& request, httplib::Response& response) {
    try {
      reply(response, 200, body(request));
    } catch (const Error& error) {
      reply_error(response, http_status(error.code()), error_code_name(error.code()), error.what());
    } catch (const std::exception& error) {
      reply_error(response, 500, "Internal", error.what());
    }
  };
}

v1::ListJobsRequest list_request(const httplib::Request& request) {
  v1::ListJobsRequest list;
  list.set_page_token(request.get_param_value("page_token"));
  if (!request.has_param("page_size")) return list;
  const std::string text = request.get_param_value("page_size");
  int size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorCode::kInvalidArgument, "page_size: \"" + text + "\" is not a number");
  list.set_page_size(size);
  return list;
}

void no_reuse_of_ports(int socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

}  // namespace

HttpServer::HttpServer(Coordinator& coordinator, const std::string& address)
    : server_(std::make_unique<httplib::Server>()) {
  const HostPort wanted = parse_address("http", address);
  server_->set_socket_options(no_reuse_of_ports);
  server_->new_task_queue = [] { return new httplib::ThreadPool(8); };  // httplib deletes it
  server_->set_keep_alive_timeout(kClientPatience.count());
  server_->set_read_timeout(kClientPatience);
  server_->set_write_timeout(kClientPatience);
  route(coordinator);
  int port = wanted.port;
  const bool bound = port == 0 ? (port = server_->bind_to_any_port(wanted.host)) > 0
                               : server_->bind_to_port(wanted.host, port);
  if (!bound) throw Error(ErrorCode::kUnavailable, "http: cannot listen on " + address);
  address_ = to_address(wanted.host, port);
  thread_ = std::thread([this] {
    server_->listen_after_bind();
    ended_ = true;
  });
}

void HttpServer::route(Coordinator& coordinator) {
  const std::pair<std::string, httplib::Server::Handler> routes[] = {
      {"/healthz",
       guarded_handler([](const httplib::Request&) { return std::string(R"({"status":"SERVING"})"); })},
      {"/v1/jobs", guarded_handler([&coordinator](const httplib::Request& request) {
         return config::jobs_json(coordinator.list(list_request(request)));
       })},
      {"/v1/jobs/([^/]+)", guarded_handler([&coordinator](const httplib::Request& request) {
         return config::job_json(coordinator.job(request.matches[1]));
       })},
  };
  for (const auto& [pattern, handler] : routes) server_->Get(pattern, handler);
  add_dashboard_routes(*server_);
  server_->Get("/metrics", [&coordinator](const httplib::Request&, httplib::Response& response) {
    response.set_content(coordinator.metrics(), kPrometheus);
  });
  server_->set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    if (request.method == "GET" || request.method == "HEAD")
      return httplib::Server::HandlerResponse::Unhandled;
    response.set_header("Allow", "GET, HEAD");
    reply_error(response, 405, "MethodNotAllowed",
                request.method + " " + request.path + ": only GET is served here");
    return httplib::Server::HandlerResponse::Handled;
  });
  server_->set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty() || response.status == 304) return;
    if (response.status == 404)
      reply_error(response, 404, "NotFound", "there is nothing at " + request.path);
    else
      reply_error(response, response.status, "BadRequest", "the request cannot be served");
  });
}

HttpServer::~HttpServer() { stop(); }

void HttpServer::stop() {
  if (!thread_.joinable()) return;
  while (!server_->is_running() && !ended_) std::this_thread::yield();
  server_->stop();
  thread_.join();
}

}  // namespace mdgen::coordinator
