#include "services/coordinator/http_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/error.h"
#include "services/coordinator/address.h"

namespace mdgen::coordinator {
namespace {

constexpr int kBacklog = 512;

int port_of(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

int try_listen(const addrinfo& candidate) {
  const int yes = 1;
  const int socket = ::socket(candidate.ai_family, candidate.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                              candidate.ai_protocol);
  if (socket < 0) return -1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(socket, candidate.ai_addr, candidate.ai_addrlen) == 0 && ::listen(socket, kBacklog) == 0)
    return socket;
  const int reason = errno;
  ::close(socket);
  errno = reason;
  return -1;
}

}  // namespace

ListeningSocket listen_on(const std::string& address) {
  const HostPort wanted = parse_address("http", address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(wanted.host.c_str(), std::to_string(wanted.port).c_str(), &hints, &found);
  if (status != 0)
    throw Error(ErrorCode::kUnavailable, "http: cannot listen on " + address + ": " + ::gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  for (const addrinfo* candidate = found; candidate != nullptr; candidate = candidate->ai_next) {
    const int socket = try_listen(*candidate);
    if (socket >= 0) return {socket, to_address(wanted.host, port_of(socket))};
  }
  throw Error(ErrorCode::kUnavailable, "http: cannot listen on " + address + ": " + std::strerror(errno));
}

std::string numeric_address(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  std::array<char, NI_MAXHOST> host{};
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  if (::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host.data(), host.size(), nullptr, 0,
                    NI_NUMERICHOST) != 0)
    return "";
  return host.data();
}

}  // namespace mdgen::coordinator
