// A listening socket.
#pragma once

#include <string>

namespace mdgen::coordinator {

struct ListeningSocket {
  int descriptor = -1;  // never blocks
  std::string address;  // HOST:PORT, with the port that it got
};

// Throws Error(kUnavailable) naming `address`.
ListeningSocket listen_on(const std::string& address);

// Of the other end, without its port; empty when it has gone.
std::string numeric_address(int socket);

}  // namespace mdgen::coordinator
