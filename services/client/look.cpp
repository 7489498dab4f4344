#include "services/client/look.h"

namespace mdgen::client {
namespace {

constexpr const char* kReset = "\x1b[0m";

const char* sequence_of(Tint tint) {
  switch (tint) {
    case Tint::kNone:
      return "";
    case Tint::kHead:
      return "\x1b[1m";
    case Tint::kGood:
      return "\x1b[32m";
    case Tint::kBad:
      return "\x1b[31m";
    case Tint::kWarn:
      return "\x1b[33m";
    case Tint::kBusy:
      return "\x1b[36m";
    case Tint::kDim:
      return "\x1b[2m";
  }
  return "";
}

// The length of the escape sequence (ESC [ … letter) that begins at `at`; 0: none does.
std::size_t escape_at(std::string_view text, std::size_t at) {
  if (text[at] != '\x1b' || at + 1 >= text.size() || text[at + 1] != '[') return 0;
  std::size_t end = at + 2;
  while (end < text.size() && (text[end] < '@' || text[end] > '~')) ++end;
  return (end < text.size() ? end + 1 : end) - at;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

}  // namespace

std::string tinted(const std::string& text, Tint tint, const Look& look) {
  if (!look.colours || tint == Tint::kNone || text.empty()) return text;
  return sequence_of(tint) + text + kReset;
}

Tint tint_of(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_RUNNING:
    case v1::JOB_STATE_SUCCEEDED:
      return Tint::kGood;
    case v1::JOB_STATE_FAILED:
      return Tint::kBad;
    case v1::JOB_STATE_CANCELLED:
      return Tint::kDim;
    case v1::JOB_STATE_VALIDATING:
    case v1::JOB_STATE_STARTING:
    case v1::JOB_STATE_CHECKPOINTING:
      return Tint::kBusy;
    default:
      return Tint::kWarn;
  }
}

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const std::size_t escape = escape_at(text, i); escape > 0) {
      i += escape;
      continue;
    }
    width += is_continuation(text[i]) ? 0 : 1;
    ++i;
  }
  return width;
}

std::string fitted(std::string_view text, std::size_t columns) {
  if (width_of(text) <= columns) return std::string(text);
  std::string cut;
  bool is_tinted = false;
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t escape = escape_at(text, i);
    if (escape == 0 && !is_continuation(text[i]) && ++width > columns) break;
    const std::size_t length = escape > 0 ? escape : 1;
    if (escape > 0) is_tinted = true;
    cut += text.substr(i, length);
    i += length;
  }
  return is_tinted ? cut + kReset : cut;
}

}  // namespace mdgen::client
