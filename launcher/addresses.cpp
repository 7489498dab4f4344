#include "launcher/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen::launcher {
namespace {

constexpr std::chrono::milliseconds kPause{100};

std::optional<std::string> usable_host(const ifaddrs& one) {
  if (one.ifa_addr == nullptr || (one.ifa_flags & IFF_UP) == 0 || (one.ifa_flags & IFF_LOOPBACK) != 0)
    return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (one.ifa_addr->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(one.ifa_addr);
    return std::string(::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()));
  }
  if (one.ifa_addr->sa_family != AF_INET6) return {};
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(one.ifa_addr);
  if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) return {};
  return "[" + std::string(::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size())) + "]";
}

// A connection under way; -1 when it cannot even begin.
class Attempt {
 public:
  explicit Attempt(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found) != 0) return;
    fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (::connect(fd_, found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) give_up();
    ::freeaddrinfo(found);
  }
  Attempt(Attempt&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Attempt(const Attempt&) = delete;
  ~Attempt() { give_up(); }

  int fd() const { return fd_; }
  bool connected() const {
    int error = 0;
    socklen_t length = sizeof error;
    return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
  }
  void give_up() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

std::optional<std::size_t> first_to_answer(std::span<const std::string> addresses,
                                           std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::vector<Attempt> attempts;
  for (const std::string& address : addresses) attempts.emplace_back(address);
  while (true) {
    std::vector<pollfd> watched;
    bool any = false;
    for (const Attempt& attempt : attempts) {
      watched.push_back({attempt.fd(), POLLOUT, 0});
      any = any || attempt.fd() >= 0;
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (!any || left.count() <= 0) return std::nullopt;
    ::poll(watched.data(), watched.size(), static_cast<int>(left.count()));
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      if (attempts[i].fd() < 0 || watched[i].revents == 0) continue;
      if (attempts[i].connected()) return i;
      attempts[i].give_up();
    }
  }
}

}  // namespace

std::vector<std::string> reachable_addresses(const std::string& port) {
  std::vector<std::string> result;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return result;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(all, &::freeifaddrs);
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (auto host = usable_host(*one)) result.push_back(*host + ":" + port);
  }
  return result;
}

std::string race_to_connect(std::span<const std::string> addresses, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (const auto winner = first_to_answer(addresses, left)) return addresses[*winner];
    if (left <= kPause) break;
    std::this_thread::sleep_for(kPause);  // rank 0 may not listen yet
  }
  throw Error(ErrorCode::kUnavailable, "rank 0's coordinator answers at none of " + join(addresses, ", "));
}

}  // namespace mdgen::launcher
