#include "core/comm/gloo/connections.h"

#include <netdb.h>
#include <sys/socket.h>

#include <charconv>
#include <filesystem>

namespace mdgen::comm {
namespace {

using Query = int (*)(int, sockaddr*, socklen_t*);

std::string address_of(int fd, Query query) {
  sockaddr_storage storage{};
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t bytes = sizeof(storage);
  if (query(fd, address, &bytes) != 0) return "";
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(address, bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV)) {
    return "";
  }
  return "[" + std::string(host) + "]:" + port;
}

int option_of(int fd, int option) {
  int value = -1;
  socklen_t bytes = sizeof(value);
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 ? value : -1;
}

}  // namespace

std::vector<TcpSocket> tcp_sockets() {
  std::vector<TcpSocket> sockets;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const std::string name = entry.path().filename().string();
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc()) continue;
    const int domain = option_of(fd, SO_DOMAIN);
    if ((domain != AF_INET && domain != AF_INET6) || option_of(fd, SO_TYPE) != SOCK_STREAM) continue;
    sockets.push_back({fd, option_of(fd, SO_ACCEPTCONN) == 1, address_of(fd, ::getsockname),
                       address_of(fd, ::getpeername)});
  }
  return sockets;
}

int cut_connections(const Listeners& listeners) {
  int cut = 0;
  for (const TcpSocket& socket : tcp_sockets()) {
    if (socket.listening || (!listeners.contains(socket.local) && !listeners.contains(socket.peer))) continue;
    if (::shutdown(socket.fd, SHUT_RDWR) == 0) ++cut;
  }
  return cut;
}

int rank_named_in(const std::string& message, const Listeners& listeners) {
  for (const auto& [address, rank] : listeners) {
    const std::size_t at = message.find(address);
    if (at == std::string::npos) continue;
    const std::size_t end = at + address.size();
    if (end == message.size() || message[end] < '0' || message[end] > '9') return rank;
  }
  return -1;
}

}  // namespace mdgen::comm
