#include "core/base/labels.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace mdgen {
namespace {

constexpr std::size_t kLongest = 63;
constexpr std::size_t kMost = 64;

bool is_one_of(char c, std::string_view signs) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         signs.find(c) != std::string_view::npos;
}

bool consists_of(std::string_view text, std::string_view signs) {
  return text.size() <= kLongest &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_one_of(c, signs); });
}

[[noreturn]] void refuse(const std::string& what, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, what + ": " + why);
}

}  // namespace

Labels parse_labels(const std::string& what, std::string_view text) {
  Labels labels;
  if (trim(text).empty()) return labels;
  for (const std::string& part : split(text, ',')) {
    const std::string word = to_utf8(trim(part));
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string key(trim(std::string_view(word).substr(0, equals)));
    const std::string value(trim(std::string_view(word).substr(std::min(equals + 1, word.size()))));
    if (key.empty() || !consists_of(key, "._-/") || !consists_of(value, "._-/:@+"))
      refuse(what, "\"" + word +
                       "\" is no label; right is key=value or key, such as gpu=h200,zone=a: keys of up to 63 "
                       "letters, digits and ._-/, values of those and :@+");
    if (!labels.emplace(key, value).second) refuse(what, "\"" + key + "\" stands there twice");
  }
  if (labels.size() > kMost) refuse(what, "more than " + std::to_string(kMost) + " labels");
  return labels;
}

std::string labels_text(const Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels)
    text += (text.empty() ? "" : ",") + key + (value.empty() ? "" : "=" + value);
  return text;
}

}  // namespace mdgen
