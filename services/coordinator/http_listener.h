// The sockets of the HTTP server. One thread waits for all connections; a request goes to a handler thread
// when it is whole, and its answer is written as fast as its client takes it. So a client that is slow, in
// sending or in reading, costs the memory of its bytes and no thread, and not for longer than the limits say.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "services/coordinator/http_framing.h"

struct ssl_ctx_st;

namespace mdgen::coordinator {

struct HttpListenerLimits {
  FrameLimits frame;
  std::size_t connections = 512;  // beyond them the one that has been still for longest is closed
  std::size_t held_bytes = std::size_t{128} << 20U;  // in all connections; likewise
  int handlers = 8;                                  // threads
  std::chrono::milliseconds request{10'000};         // from its first byte to its last
  std::chrono::milliseconds idle{15'000};            // between two requests
  std::chrono::milliseconds stalled{10'000};         // without a byte taken by the client
  std::chrono::milliseconds leave{2'000};            // after a last answer, until the client hangs up
  std::chrono::milliseconds answer{120'000};         // from the first byte of an answer to its last
};

struct HttpRawRequest {
  std::string bytes;  // head and body
  std::size_t head = 0;
  std::string peer;              // numeric address
  std::string certificate_name;  // see HttpConnection
};
struct HttpRawAnswer {
  std::string bytes;
  bool close = false;
};

// Called by many threads. Must not throw.
class HttpApplication {
 public:
  virtual ~HttpApplication() = default;
  virtual HttpRawAnswer answer(const HttpRawRequest& request) = 0;
  // The answer to what cannot be served; the connection is closed after it.
  virtual std::string refusal(int status, const std::string& problem) = 0;
  // True for what never waits for a disk or a lock: it has a thread of its own, so that probes are answered
  // while all others are busy.
  virtual bool is_prompt(std::string_view head) const = 0;
};

class HttpListener {
 public:
  // Asked for each connection, so that a renewed certificate is used at once; null: plain.
  using Tls = std::function<std::shared_ptr<ssl_ctx_st>()>;

  // Listens on `address` (HOST:PORT; port 0: a free one) at once. Throws Error(kUnavailable) naming it.
  HttpListener(HttpApplication& application, const std::string& address, const HttpListenerLimits& limits,
               Tls tls = nullptr);
  ~HttpListener();  // stops

  const std::string& address() const { return address_; }
  // Closes all connections, those too whose request is being answered.
  void stop();

 private:
  class Loop;
  std::string address_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace mdgen::coordinator
