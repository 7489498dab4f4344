// Where an HTTP/1.1 request ends in the bytes that a connection has sent. Pure. What cannot be told without
// doubt (bare line feeds, two lengths, chunks) is refused, so that nobody can smuggle one request in another.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mdgen::coordinator {

struct FrameLimits {
  std::size_t head_bytes = 16U << 10U;  // request line and headers
  int header_lines = 100;
  std::size_t body_bytes = 1U << 20U;
};

struct Frame {
  enum class State { kMore, kWhole, kRefused };

  State state = State::kMore;
  std::size_t head = 0;         // its bytes; 0 while it is not all here
  std::size_t body = 0;         // its bytes, as announced
  bool wants_continue = false;  // the client waits for a 100 before it sends the body
  int status = 0;               // kRefused: how to answer, before the connection is closed
  std::string problem;
};

Frame look_at_request(std::string_view bytes, const FrameLimits& limits);

}  // namespace mdgen::coordinator
