// What slow, large and numerous clients can do to the HTTP server: nothing to the others.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "services/coordinator/address.h"
#include "services/coordinator/http_listener.h"

namespace mdgen::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

std::string answer_of(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// /echo gives back the body, /large 32 MiB, /block waits for release(), /healthz is prompt.
class FakeApplication : public HttpApplication {
 public:
  HttpRawAnswer answer(const HttpRawRequest& request) override {
    const std::string path = request.bytes.substr(0, request.bytes.find(" HTTP"));
    if (path.ends_with("/large")) return {answer_of(std::string(32U << 20U, 'x'))};
    if (path.ends_with("/close")) return {answer_of("bye"), true};
    if (path.ends_with("/block")) {
      std::unique_lock lock(mutex_);
      ++blocked_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return released_; });
    }
    return {answer_of(request.bytes.substr(request.head))};
  }
  std::string refusal(int status, const std::string& problem) override {
    return "HTTP/1.1 " + std::to_string(status) +
           " Refused\r\nContent-Length: " + std::to_string(problem.size()) + "\r\n\r\n" + problem;
  }
  bool is_prompt(std::string_view head) const override { return head.starts_with("GET /healthz"); }

  void wait_for_blocked(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return blocked_ >= count; });
  }
  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int blocked_ = 0;
  bool released_ = false;
};

class RawClient {
 public:
  explicit RawClient(const std::string& address, int receive_buffer = 0) {
    const HostPort to = parse_address("test", address);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval patience{10, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = htons(static_cast<std::uint16_t>(to.port));
    ::inet_pton(AF_INET, to.host.c_str(), &target.sin_addr);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&target), sizeof target), 0);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // What comes, up to so many bytes or the end.
  std::string receive(std::size_t most) {
    std::string text;
    char chunk[4096];
    while (text.size() < most) {
      const ssize_t got = ::recv(socket_, chunk, std::min(sizeof chunk, most - text.size()), 0);
      if (got <= 0) break;
      text.append(chunk, static_cast<std::size_t>(got));
    }
    return text;
  }
  // True when the server has ended the connection.
  bool is_closed() {
    char byte = 0;
    return ::recv(socket_, &byte, 1, 0) <= 0;
  }

 private:
  int socket_ = -1;
};

const char* const kHealth = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

struct HttpLimits : ::testing::Test {
  ~HttpLimits() override { application.release(); }
  void listen() { listener = std::make_unique<HttpListener>(application, "127.0.0.1:0", limits); }
  bool is_healthy() {
    RawClient client(listener->address());
    return client.send(kHealth) && client.receive(15) == "HTTP/1.1 200 OK";
  }
  std::string exchange(const std::string& request, std::size_t most = 4096) {
    RawClient client(listener->address());
    client.send(request);
    return client.receive(most);
  }
  FakeApplication application;
  HttpListenerLimits limits;
  std::unique_ptr<HttpListener> listener;
};

TEST_F(HttpLimits, ServesRequestsOneAfterTheOther) {
  listen();
  RawClient client(listener->address());
  client.send(
      "PUT /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nonePUT /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nthr");
  const std::string first = answer_of("one");
  EXPECT_EQ(client.receive(first.size()), first);
  client.send("ee");
  EXPECT_EQ(client.receive(answer_of("three").size()), answer_of("three"));
  client.send("GET /close HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive(4096), answer_of("bye"));
}

TEST_F(HttpLimits, TellsAWaitingClientToSend) {
  listen();
  RawClient client(listener->address());
  client.send("PUT /echo HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive(25), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_EQ(client.receive(answer_of("abc").size()), answer_of("abc"));
}

TEST_F(HttpLimits, RefusesWhatIsTooLargeAndSaysSo) {
  listen();
  EXPECT_THAT(exchange("PUT /echo HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n" + std::string(1048577, 'x')),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(exchange("GET / HTTP/1.1\r\nX: " + std::string(20000, 'x')), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(exchange("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), StartsWith("HTTP/1.1 411"));
}

TEST_F(HttpLimits, StalledClientsStopNobody) {
  listen();
  std::vector<std::unique_ptr<RawClient>> stalled;
  for (int i = 0; i < 64; ++i) {
    stalled.push_back(std::make_unique<RawClient>(listener->address()));
    stalled.back()->send(i % 2 == 0 ? "GET /v1/jobs HT"
                                    : "PUT /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nab");
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(is_healthy());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(HttpLimits, ProbesAreAnsweredWhileEveryHandlerIsBusy) {
  listen();
  std::vector<std::unique_ptr<RawClient>> busy;
  for (int i = 0; i < limits.handlers + 2; ++i) {
    busy.push_back(std::make_unique<RawClient>(listener->address()));
    busy.back()->send("GET /block HTTP/1.1\r\n\r\n");
  }
  application.wait_for_blocked(limits.handlers);
  EXPECT_TRUE(is_healthy());
}

TEST_F(HttpLimits, ASlowRequestAndAnIdleConnectionEnd) {
  limits.request = 100ms;
  limits.idle = 100ms;
  listen();
  RawClient slow(listener->address());
  slow.send("GET /v1/jobs HT");
  EXPECT_TRUE(slow.is_closed());
  RawClient idle(listener->address());
  EXPECT_TRUE(idle.is_closed());
}

TEST_F(HttpLimits, AnswersThatNobodyReadsAreBounded) {
  limits.held_bytes = 100U << 20U;
  listen();
  std::vector<std::unique_ptr<RawClient>> deaf;
  for (int i = 0; i < 8; ++i) {  // 256 MiB if all were kept
    deaf.push_back(std::make_unique<RawClient>(listener->address(), 4096));
    deaf.back()->send("GET /large HTTP/1.1\r\n\r\n");
  }
  EXPECT_TRUE(is_healthy());
  const auto is_cut = [](RawClient& client) { return client.receive(33U << 20U).size() < (32U << 20U); };
  std::this_thread::sleep_for(1s);  // the limit is looked at some times a second
  int cut = 0;
  for (const auto& client : deaf) cut += is_cut(*client) ? 1 : 0;
  EXPECT_GE(cut, 4);
  EXPECT_LT(cut, 8) << "those within the bound are served";
}

TEST_F(HttpLimits, AClientThatDoesNotReadIsLeft) {
  limits.stalled = 100ms;
  listen();
  RawClient deaf(listener->address(), 4096);
  deaf.send("GET /large HTTP/1.1\r\n\r\n");
  std::this_thread::sleep_for(800ms);
  EXPECT_LT(deaf.receive(33U << 20U).size(), 32U << 20U);
}

TEST_F(HttpLimits, NewcomersTakeThePlaceOfTheStillest) {
  limits.connections = 4;
  listen();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(listener->address()));
    clients.back()->send(kHealth);
    clients.back()->receive(15);
  }
  EXPECT_TRUE(is_healthy());
  EXPECT_TRUE(clients.front()->receive(4096).size() < 4096) << "ended";
}

TEST_F(HttpLimits, StoppingWaitsForWhatIsBeingAnswered) {
  listen();
  RawClient client(listener->address());
  client.send("GET /block HTTP/1.1\r\n\r\n");
  application.wait_for_blocked(1);
  std::thread releaser([this] { application.release(); });
  listener.reset();
  releaser.join();
}

}  // namespace
}  // namespace mdgen::coordinator
