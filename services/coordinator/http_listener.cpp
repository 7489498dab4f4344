#include "services/coordinator/http_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/log.h"
#include "services/coordinator/http_connection.h"
#include "services/coordinator/http_socket.h"
#include "services/coordinator/work_pool.h"

namespace mdgen::coordinator {
namespace {

constexpr std::chrono::milliseconds kSweep{200};
constexpr std::uint64_t kListening = 0;
constexpr std::uint64_t kWake = 1;
constexpr const char* kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

class HttpListener::Loop {
 public:
  Loop(HttpApplication& application, int listening, const HttpListenerLimits& limits, Tls tls)
      : application_(application),
        limits_(limits),
        tls_(std::move(tls)),
        listening_(listening),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        handlers_(limits.handlers, limits.connections),
        prompt_(1, limits.connections) {
    watch(EPOLL_CTL_ADD, listening_, kListening, EPOLLIN);
    watch(EPOLL_CTL_ADD, wake_, kWake, EPOLLIN);
    thread_ = std::thread([this] { run(); });
  }

  ~Loop() {
    stopping_ = true;
    wake();
    thread_.join();
    handlers_.stop();
    prompt_.stop();
    connections_.clear();
    for (const int descriptor : {listening_, epoll_, wake_}) ::close(descriptor);
  }

 private:
  using Connection = std::shared_ptr<HttpConnection>;
  using Phase = HttpConnection::Phase;
  using Progress = HttpConnection::Progress;

  // --- the loop's thread ---

  void run() {
    std::array<epoll_event, 64> events{};
    auto next_sweep = std::chrono::steady_clock::now() + kSweep;
    while (!stopping_) {
      const int wait = connections_.empty() ? -1 : static_cast<int>(kSweep.count());
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait);
      for (int i = 0; i < count; ++i) take(events[static_cast<std::size_t>(i)]);
      if (std::chrono::steady_clock::now() < next_sweep) continue;
      sweep();
      next_sweep = std::chrono::steady_clock::now() + kSweep;
    }
  }

  void take(const epoll_event& event) {
    if (event.data.u64 == kListening) return accept_all();
    if (event.data.u64 == kWake) return take_answers();
    const auto entry = connections_.find(event.data.u64);
    if (entry == connections_.end()) return;
    const Connection connection = entry->second;
    if (connection->phase == Phase::kAnswering) {  // nothing but its end is waited for
      connection->dead = true;
      watch(EPOLL_CTL_DEL, connection->socket(), entry->first, 0);
    } else if (connection->phase == Phase::kWriting) {
      write(entry->first, connection);
    } else if (connection->phase == Phase::kLeaving) {
      discard(entry->first, *connection);
    } else {
      read(entry->first, connection);
    }
  }

  void accept_all() {
    while (true) {
      const int socket = ::accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) {
        const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (exhausted && !close_stillest()) std::this_thread::sleep_for(kSweep);
        return;
      }
      const int yes = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      while (connections_.size() >= limits_.connections && close_stillest()) {
      }
      add(socket);
    }
  }

  void add(int socket) {
    const std::uint64_t id = ++last_id_;
    try {
      const auto tls = tls_ ? tls_() : nullptr;
      connections_[id] = std::make_shared<HttpConnection>(socket, tls.get(), numeric_address(socket));
      watch(EPOLL_CTL_ADD, socket, id, EPOLLIN);
    } catch (const std::exception& error) {
      spdlog::warn("http: a connection is not served: {}", error.what());
      if (connections_.erase(id) == 0) ::close(socket);
    }
  }

  // Of those that are not being answered the one without a byte for longest. False: there is none.
  bool close_stillest() {
    auto stillest = connections_.end();
    for (auto entry = connections_.begin(); entry != connections_.end(); ++entry) {
      if (entry->second->phase == Phase::kAnswering) continue;
      if (stillest == connections_.end() || entry->second->moved < stillest->second->moved) stillest = entry;
    }
    if (stillest == connections_.end()) return false;
    connections_.erase(stillest);
    return true;
  }

  void read(std::uint64_t id, const Connection& connection) {
    const bool was_idle = connection->input.empty();
    const Progress progress = connection->receive(limits_.frame.head_bytes + limits_.frame.body_bytes);
    if (was_idle && !connection->input.empty()) connection->begun = std::chrono::steady_clock::now();
    if (progress == Progress::kBroken && connection->input.empty()) return drop(id);
    advance(id, connection);
    const bool waits = connection->phase == Phase::kReading;
    if (progress == Progress::kBroken && waits) drop(id);
    if (progress == Progress::kBlocked && waits && connections_.contains(id)) watch_phase(id, *connection);
  }

  // Looks whether a request is whole.
  void advance(std::uint64_t id, const Connection& connection) {
    if (connection->input.empty()) return;
    const Frame frame = look_at_request(connection->input, limits_.frame);
    if (frame.state == Frame::State::kRefused) {
      connection->close_after = true;
      connection->input = {};
      start_answer(id, connection, application_.refusal(frame.status, frame.problem));
    } else if (frame.state == Frame::State::kWhole) {
      hand_over(id, connection, frame);
    } else if (frame.wants_continue && !std::exchange(connection->continued, true)) {
      connection->output = kContinue;
      if (connection->transmit() == Progress::kBroken) drop(id);
    }
  }

  void hand_over(std::uint64_t id, const Connection& connection, const Frame& frame) {
    HttpRawRequest request;
    request.bytes = connection->input.substr(0, frame.head + frame.body);
    request.head = frame.head;
    request.peer = connection->peer();
    request.certificate_name = connection->certificate_name();
    connection->input = connection->input.substr(frame.head + frame.body);
    connection->continued = false;
    enter(*connection, Phase::kAnswering);
    watch_phase(id, *connection);
    WorkPool& pool = application_.is_prompt(request.bytes) ? prompt_ : handlers_;
    const bool posted = pool.post([this, id, request = std::move(request)] {
      HttpRawAnswer answer = application_.answer(request);
      const std::lock_guard lock(answers_mutex_);
      answers_.emplace_back(id, std::move(answer));
      wake();
    });
    if (posted) return;
    connection->close_after = true;
    start_answer(id, connection, application_.refusal(503, "too many requests wait for an answer"));
  }

  void take_answers() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
    std::vector<std::pair<std::uint64_t, HttpRawAnswer>> answers;
    {
      const std::lock_guard lock(answers_mutex_);
      answers.swap(answers_);
    }
    for (auto& [id, answer] : answers) {
      const auto entry = connections_.find(id);
      if (entry == connections_.end()) continue;
      const Connection connection = entry->second;
      if (connection->dead) {
        drop(id);
        continue;
      }
      connection->close_after = answer.close;
      start_answer(id, connection, std::move(answer.bytes));
    }
  }

  void start_answer(std::uint64_t id, const Connection& connection, std::string bytes) {
    connection->output = std::move(bytes);
    enter(*connection, Phase::kWriting);
    write(id, connection);
  }

  void write(std::uint64_t id, const Connection& connection) {
    const Progress progress = connection->transmit();
    if (progress == Progress::kBroken) return drop(id);
    if (progress == Progress::kBlocked) return watch_phase(id, *connection);
    if (connection->close_after) return leave(id, *connection);
    enter(*connection, Phase::kReading);
    watch_phase(id, *connection);
    // A next request may lie here, or in TLS's buffer, about which epoll knows nothing.
    read(id, connection);
  }

  // Closed at once, an answer would be lost to the reset that answers what the client is still sending.
  void leave(std::uint64_t id, HttpConnection& connection) {
    connection.end_output();
    enter(connection, Phase::kLeaving);
    watch_phase(id, connection);
    discard(id, connection);
  }

  void discard(std::uint64_t id, const HttpConnection& connection) {
    std::array<char, 16384> rest{};
    for (int i = 0; i < 64; ++i) {
      const ssize_t got = ::recv(connection.socket(), rest.data(), rest.size(), 0);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return drop(id);
      if (got < 0) return;
    }
  }

  void sweep() {
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::uint64_t> late;
    std::size_t held = 0;
    for (const auto& [id, connection] : connections_) {
      if (is_late(*connection, now)) late.push_back(id);
      held += connection->held_bytes();
    }
    for (const std::uint64_t id : late) drop(id);
    while (held > limits_.held_bytes && close_stillest()) {
      held = 0;
      for (const auto& [id, connection] : connections_) held += connection->held_bytes();
    }
  }

  bool is_late(const HttpConnection& connection, HttpConnection::Time now) const {
    switch (connection.phase) {
      case Phase::kReading:
        return now - connection.begun > (connection.input.empty() ? limits_.idle : limits_.request);
      case Phase::kWriting:
        return now - connection.moved > limits_.stalled || now - connection.begun > limits_.answer;
      case Phase::kLeaving:
        return now - connection.begun > limits_.leave;
      case Phase::kAnswering:
        return false;
    }
    return false;
  }

  static void enter(HttpConnection& connection, Phase phase) {
    connection.phase = phase;
    connection.begun = connection.moved = std::chrono::steady_clock::now();
  }

  void watch_phase(std::uint64_t id, const HttpConnection& connection) {
    std::uint32_t wanted = 0;
    if (connection.phase == Phase::kReading || connection.phase == Phase::kLeaving) wanted = EPOLLIN;
    if (connection.phase == Phase::kWriting) wanted = EPOLLOUT;
    if (connection.phase == Phase::kReading && connection.waits_to_write()) wanted |= EPOLLOUT;
    if (connection.phase == Phase::kWriting && !connection.waits_to_write()) wanted = EPOLLIN;
    watch(EPOLL_CTL_MOD, connection.socket(), id, wanted);
  }

  void watch(int operation, int descriptor, std::uint64_t id, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    ::epoll_ctl(epoll_, operation, descriptor, &event);
  }

  void drop(std::uint64_t id) { connections_.erase(id); }

  // --- any thread ---

  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  }

  HttpApplication& application_;
  const HttpListenerLimits limits_;
  const Tls tls_;
  const int listening_;
  const int epoll_;
  const int wake_;
  std::atomic<bool> stopping_{false};
  std::uint64_t last_id_ = kWake;
  std::unordered_map<std::uint64_t, Connection> connections_;
  std::mutex answers_mutex_;
  std::vector<std::pair<std::uint64_t, HttpRawAnswer>> answers_;
  WorkPool handlers_;
  WorkPool prompt_;
  std::thread thread_;
};

HttpListener::HttpListener(HttpApplication& application, const std::string& address,
                           const HttpListenerLimits& limits, Tls tls) {
  ListeningSocket socket = listen_on(address);
  address_ = std::move(socket.address);
  loop_ = std::make_unique<Loop>(application, socket.descriptor, limits, std::move(tls));
}

HttpListener::~HttpListener() { stop(); }

void HttpListener::stop() { loop_.reset(); }

}  // namespace mdgen::coordinator
