#include "services/coordinator/http_framing.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace mdgen::coordinator {
namespace {

Frame refused(int status, std::string problem) {
  Frame frame;
  frame.state = Frame::State::kRefused;
  frame.status = status;
  frame.problem = std::move(problem);
  return frame;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool has_bare_line_end(std::string_view head) {
  for (std::size_t at = 0; at < head.size(); ++at) {
    if (head[at] == '\0') return true;
    if (head[at] == '\n' && (at == 0 || head[at - 1] != '\r')) return true;
    if (head[at] == '\r' && (at + 1 == head.size() || head[at + 1] != '\n')) return true;
  }
  return false;
}

std::optional<std::size_t> parse_length(std::string_view text) {
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  const bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty();
  return whole ? std::optional(length) : std::nullopt;
}

// One header line; a problem is put into `frame`.
void take_header(std::string_view line, bool& has_length, Frame& frame, const FrameLimits& limits) {
  const auto colon = line.find(':');
  const std::string_view name = line.substr(0, std::min(colon, line.size()));
  if (colon == std::string_view::npos || name.empty() ||
      name.find_first_of(" \t") != std::string_view::npos) {
    frame = refused(400, "a header line has no name");
    return;
  }
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (same_name(name, "Content-Length")) {
    const auto length = parse_length(value);
    if (has_length || !length) {
      frame = refused(400, "Content-Length: give one number");
    } else if (*length > limits.body_bytes) {
      frame = refused(413, "the body has " + std::to_string(*length) + " bytes; " +
                               std::to_string(limits.body_bytes) + " are allowed");
    } else {
      has_length = true;
      frame.body = *length;
    }
  } else if (same_name(name, "Transfer-Encoding")) {
    frame = refused(411, "Transfer-Encoding: send the body whole, with its Content-Length");
  } else if (same_name(name, "Content-Encoding")) {
    frame = refused(415, "Content-Encoding: send the body as it is");
  } else if (same_name(name, "Expect")) {
    frame.wants_continue = same_name(value, "100-continue");
  }
}

}  // namespace

Frame look_at_request(std::string_view bytes, const FrameLimits& limits) {
  const auto end = bytes.substr(0, limits.head_bytes).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= limits.head_bytes)
      return refused(431, "the headers have more than " + std::to_string(limits.head_bytes) + " bytes");
    return {};
  }
  std::string_view head = bytes.substr(0, end + 2);
  if (has_bare_line_end(head)) return refused(400, "a line of the head does not end with CR LF");
  Frame frame;
  frame.head = end + 4;
  bool has_length = false;
  head.remove_prefix(head.find("\r\n") + 2);
  for (int lines = 0; !head.empty(); ++lines) {
    if (lines == limits.header_lines)
      return refused(431, "there are more than " + std::to_string(limits.header_lines) + " headers");
    const auto stop = head.find("\r\n");
    take_header(head.substr(0, stop), has_length, frame, limits);
    if (frame.state == Frame::State::kRefused) return frame;
    head.remove_prefix(stop + 2);
  }
  if (bytes.size() >= frame.head + frame.body) frame.state = Frame::State::kWhole;
  return frame;
}

}  // namespace mdgen::coordinator
