#include <charconv>
#include <cstdio>

#include "core/checkpoint/store.h"

namespace mdgen::checkpoint {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kSeparator = "-g";

std::optional<std::int64_t> parse_number(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || value < 0)
    return std::nullopt;
  return value;
}

}  // namespace

std::string folder_name(const Name& name) {
  char text[64];
  std::snprintf(text, sizeof text, "step-%09lld-g%04lld", static_cast<long long>(name.step),
                static_cast<long long>(name.generation));
  return text;
}

std::optional<Name> parse_folder_name(const std::string& folder) {
  const std::string_view text = folder;
  const auto separator = text.find(kSeparator);
  if (!text.starts_with(kPrefix) || separator == std::string_view::npos) return std::nullopt;
  const auto step = parse_number(text.substr(kPrefix.size(), separator - kPrefix.size()));
  const auto generation = parse_number(text.substr(separator + kSeparator.size()));
  if (!step || !generation) return std::nullopt;
  const Name name{*step, *generation};
  if (folder_name(name) != folder) return std::nullopt;
  return name;
}

}  // namespace mdgen::checkpoint
