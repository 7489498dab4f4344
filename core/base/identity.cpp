#include "core/base/identity.h"

#include <sys/random.h>

#include <array>
#include <cstdint>

#include "core/base/error.h"

namespace mdgen {
namespace {

void fill_random(void* bytes, std::size_t count) {
  if (::getrandom(bytes, count, 0) != static_cast<ssize_t>(count))
    throw Error(ErrorCode::kInternal, "the system gives no random bytes");
}

}  // namespace

std::string make_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  fill_random(bytes.data(), bytes.size());
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::string make_short_id(int characters) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string text(static_cast<std::size_t>(characters), ' ');
  fill_random(text.data(), text.size());
  for (char& c : text) c = kAlphabet[static_cast<std::uint8_t>(c) & 31];
  return text;
}

}  // namespace mdgen
