// The HTTP server: the API as JSON (docs/api.md, docs/openapi.yaml), probes, Prometheus' metrics, pages.
#pragma once

#include <memory>
#include <string>

#include "services/coordinator/frontend.h"
#include "services/coordinator/http_listener.h"
#include "services/coordinator/http_router.h"

namespace mdgen::coordinator {

class HttpServer {
 public:
  // Listens on `address` (HOST:PORT; port 0: a free one) at once. Throws Error(kUnavailable) naming it.
  // `tls` null: plain.
  HttpServer(Frontend& frontend, const std::string& address, HttpListener::Tls tls = nullptr,
             const HttpListenerLimits& limits = {});
  ~HttpServer();  // stops

  const std::string& address() const { return listener_->address(); }
  void stop();

 private:
  class Application;
  HttpRouter router_;
  std::unique_ptr<Application> application_;
  std::unique_ptr<HttpListener> listener_;
};

}  // namespace mdgen::coordinator
