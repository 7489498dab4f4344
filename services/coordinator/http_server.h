// /healthz, /v1/jobs and /v1/jobs/{id} as JSON, for browsers, curl and probes.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "services/coordinator/coordinator.h"

namespace httplib {
class Server;
}

namespace mdgen::coordinator {

class HttpServer {
 public:
  // Listens on `address` (HOST:PORT; port 0: a free one) at once. Throws Error(kUnavailable) naming it.
  HttpServer(Coordinator& coordinator, const std::string& address);
  ~HttpServer();  // stops

  const std::string& address() const { return address_; }
  void stop();

 private:
  void route(Coordinator& coordinator);

  std::unique_ptr<httplib::Server> server_;
  std::string address_;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace mdgen::coordinator
