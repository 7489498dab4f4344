#include "services/access/tokens.h"

#include <openssl/crypto.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <ctime>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/utc.h"

namespace mdgen::access {
namespace {

constexpr std::size_t kDigestDigits = 64;
constexpr std::size_t kLongestName = 64;
constexpr const char* kHead =
    "# Who may talk to this coordinator. A change counts at once; `mdgen-coordinator token` makes it.\n";

bool is_digest(const std::string& text) {
  return text.size() == kDigestDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= kLongestName &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@") ==
             text.npos;
}

bool is_common_name(const std::string& text) {
  return text.size() <= 255 &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

[[noreturn]] void refuse(const std::string& text) { throw Error(ErrorCode::kInvalidArgument, text); }

void check(const TokenEntry& entry) {
  if (!is_name(entry.name))
    refuse("the name \"" + entry.name +
           "\" has other characters than letters, digits and ._-+@, or more than " +
           std::to_string(kLongestName));
  if (entry.sha256.empty() == entry.certificate.empty())
    refuse(entry.name + ": give either sha256 or certificate");
  if (!entry.sha256.empty() && !is_digest(entry.sha256))
    refuse(entry.name + ": sha256 is not 64 hexadecimal digits in lower case");
  if (!is_common_name(entry.certificate)) refuse(entry.name + ": certificate is no common name");
}

TokenEntry entry_of(const YAML::Node& node) {
  if (!node.IsMap()) refuse("an entry is not {name: …, role: …, sha256: …}");
  TokenEntry entry;
  std::string role;
  for (const auto& pair : node) {
    const auto key = pair.first.as<std::string>();
    if (!pair.second.IsScalar()) refuse(key + " is not a single value");
    const std::string& value = pair.second.Scalar();
    if (key == "name") {
      entry.name = value;
    } else if (key == "role") {
      role = value;
    } else if (key == "sha256") {
      entry.sha256 = value;
    } else if (key == "certificate") {
      entry.certificate = value;
    } else if (key == "expires") {
      entry.expires = parse_moment(value, Moment{});
    } else {
      refuse("\"" + key + "\" is not known; there are name, role, sha256, certificate, expires");
    }
  }
  const auto known = role_from_name(role);
  if (!known) refuse(entry.name + ": the role \"" + role + "\" is none of viewer, submitter, admin, worker");
  entry.role = *known;
  return entry;
}

TokenTable table_of(const YAML::Node& root) {
  TokenTable table;
  if (root.IsNull()) return table;
  if (!root.IsMap() || root.size() != 1 || !root["tokens"]) refuse("the only key is `tokens`, a list");
  const YAML::Node list = root["tokens"];
  if (!list.IsSequence() && !list.IsNull()) refuse("`tokens` is no list");
  for (const YAML::Node& node : list) table.add(entry_of(node));
  return table;
}

std::optional<std::tm> parse_time(const std::string& text, const char* format) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), format, &parts);
  return end != nullptr && *end == '\0' ? std::optional(parts) : std::nullopt;
}

}  // namespace

TokenTable TokenTable::from_yaml(const std::string& text, const std::string& source) {
  try {
    return table_of(YAML::Load(text));
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidArgument, source + ": " + error.what());
  } catch (const YAML::Exception& error) {
    throw Error(ErrorCode::kInvalidArgument, source + ": " + error.what());
  }
}

std::string TokenTable::to_yaml() const {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "tokens" << YAML::Value << YAML::BeginSeq;
  for (const TokenEntry& entry : entries_) {
    out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << entry.name;
    out << YAML::Key << "role" << YAML::Value << role_name(entry.role);
    if (entry.sha256.empty()) {
      out << YAML::Key << "certificate" << YAML::Value << entry.certificate;
    } else {
      out << YAML::Key << "sha256" << YAML::Value << entry.sha256;
    }
    if (entry.expires) out << YAML::Key << "expires" << YAML::Value << utc_text(*entry.expires);
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  return kHead + std::string(out.c_str()) + "\n";
}

void TokenTable::add(TokenEntry entry) {
  check(entry);
  for (const TokenEntry& other : entries_) {
    if (other.name == entry.name && other.role != entry.role)
      throw Error(ErrorCode::kAlreadyExists, entry.name + " has the role " + role_name(other.role) +
                                                 " already; a name has one role (remove it first)");
    if (other.sha256 == entry.sha256 && other.certificate == entry.certificate)
      throw Error(ErrorCode::kAlreadyExists, "the token or certificate " + entry.id() + " of " + entry.name +
                                                 " is that of " + other.name + " already");
  }
  entries_.push_back(std::move(entry));
}

int TokenTable::remove(const std::string& name_or_id) {
  const auto is_it = [&](const TokenEntry& one) { return one.name == name_or_id; };
  const auto has_id = [&](const TokenEntry& one) { return one.id() == name_or_id; };
  const auto by_name = std::erase_if(entries_, is_it);
  return static_cast<int>(by_name > 0 ? by_name : std::erase_if(entries_, has_id));
}

const TokenEntry* TokenTable::find_token(std::string_view token) const {
  const std::string digest = sha256_hex(token);
  const TokenEntry* found = nullptr;
  for (const TokenEntry& entry : entries_) {
    if (entry.sha256.size() != digest.size()) continue;
    if (::CRYPTO_memcmp(digest.data(), entry.sha256.data(), digest.size()) == 0) found = &entry;
  }
  return found;
}

const TokenEntry* TokenTable::find_certificate(std::string_view common_name) const {
  if (common_name.empty()) return nullptr;
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const TokenEntry& one) { return one.certificate == common_name; });
  return found != entries_.end() ? &*found : nullptr;
}

Moment parse_moment(const std::string& text, Moment now) {
  auto parts = parse_time(text, "%Y-%m-%dT%H:%M:%SZ");
  if (!parts) parts = parse_time(text, "%Y-%m-%d");
  if (parts) return std::chrono::system_clock::from_time_t(::timegm(&*parts));
  const bool is_count = text.size() > 1 && text.size() < 7 && now != Moment{} &&
                        text.find_first_not_of("0123456789") == text.size() - 1;
  if (is_count && text.back() == 'd') return now + std::chrono::hours(24 * std::stoi(text));
  if (is_count && text.back() == 'h') return now + std::chrono::hours(std::stoi(text));
  refuse("\"" + text + "\" is no time; give 2027-01-31, 2027-01-31T12:00:00Z, 90d or 12h");
}

}  // namespace mdgen::access
