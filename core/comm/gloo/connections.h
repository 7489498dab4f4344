// The TCP connections of a Gloo group, found from outside: Gloo offers no way to break a blocked operation,
// but its sockets can be shut down. No LibTorch.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mdgen::comm {

// An address is written as Gloo's messages do: "[127.0.0.1]:4411".
struct TcpSocket {
  int fd = -1;
  bool listening = false;
  std::string local;
  std::string peer;  // "" when not connected
};

// This process's TCP sockets at this moment.
std::vector<TcpSocket> tcp_sockets();

// Which rank listens where.
using Listeners = std::map<std::string, int>;

// Shuts down every connection of this process that has a listener's address at its near or far end. Returns
// how many.
int cut_connections(const Listeners& listeners);

// The first rank whose address occurs in `message`, or -1.
int rank_named_in(const std::string& message, const Listeners& listeners);

}  // namespace mdgen::comm
