// Small text helpers.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mdgen {

// The candidate with the smallest edit distance to `name`, or "" when none is near (more than a third of it
// differs).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

std::string join(std::span<const std::string> parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

// Bytes that are no UTF-8 become '?'. For what files and processes say, before it goes into a message:
// protobuf and JSON take UTF-8 alone.
std::string to_utf8(std::string_view bytes);
// The length of the longest beginning of `bytes` that does not cut a UTF-8 character.
std::size_t whole_characters(std::string_view bytes);

}  // namespace mdgen
