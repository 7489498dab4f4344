// HOST:PORT texts.
#pragma once

#include <charconv>
#include <string>

#include "core/base/error.h"

namespace mdgen::coordinator {

struct HostPort {
  std::string host;  // without brackets
  int port = 0;
};

// Throws Error(kInvalidArgument) naming `what`.
inline HostPort parse_address(const std::string& what, const std::string& text) {
  const auto colon = text.rfind(':');
  HostPort address;
  if (colon != std::string::npos && colon > 0) {
    address.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']')
      address.host = address.host.substr(1, address.host.size() - 2);
    if (error == std::errc() && rest == end && address.port >= 0 && address.port <= 65535) return address;
  }
  throw Error(ErrorCode::kInvalidArgument, what + ": \"" + text + "\" is not HOST:PORT");
}

// False for names other than localhost, whatever they stand for.
inline bool is_loopback(const HostPort& address) {
  const bool is_number = address.host.find_first_not_of("0123456789.") == std::string::npos;
  return address.host == "localhost" || address.host == "::1" ||
         (is_number && address.host.starts_with("127."));
}

inline std::string to_address(const std::string& host, int port) {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace mdgen::coordinator
